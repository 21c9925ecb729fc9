import { type Clock, PeerError } from '@hallpass/service-kit'
import { readJson } from '@hallpass/untrusted/json'
import type { IssuedToken } from './cached-token.ts'
import { callerWithIdentity } from './caller-with-identity.ts'
import { clientAuthentication } from './client-authentication.ts'
import type { TokenRule } from './rules.ts'
import { readTlsIdentity } from './tls-identity.ts'

/** Registered error codes (RFC 6749 §5.2) are shorter. */
const MAX_SHOWN_ERROR = 60

/** The token endpoint gave no token. The message may be shown to clients; only the cause, for the log, names files. */
export class NoTokenError extends Error {}

export interface TokenEndpointOptions {
  readonly clock: Clock
  readonly timeoutMs: number
}

/**
 * Returns the function that requests a token for this gateway itself (RFC 6749 §4.4). Its files are read for each request.
 * The function throws a {@link NoTokenError} that says what the endpoint answered.
 */
export function clientCredentials(
  rule: TokenRule,
  options: TokenEndpointOptions,
): () => Promise<IssuedToken> {
  const { origin, pathname, search } = new URL(rule.url)
  const authenticate = clientAuthentication(rule, options.clock)
  const grant = Object.entries({
    grant_type: 'client_credentials',
    scope: rule.scope,
    audience: rule.audience,
    resource: rule.resource,
  }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]]))
  const call = callerWithIdentity({
    peer: 'token endpoint',
    baseUrl: origin,
    timeoutMs: options.timeoutMs,
    confidential: true,
  })

  async function request(): Promise<IssuedToken> {
    const [tls, { authorization, form }] = await Promise.all([readTlsIdentity(filesOf(rule)), authenticate()])
    const answer = await call(tls, {
      method: 'POST',
      path: pathname + search,
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: new URLSearchParams([...grant, ...Object.entries(form)]).toString(),
      // Of all clients that wait for it.
      shared: true,
    })
    return tokenIn(answer)
  }

  return async () => {
    try {
      return await request()
    } catch (error) {
      throw new NoTokenError(`The gateway has no token for the upstream: ${reasonOf(error)}`, {
        cause: error,
      })
    }
  }
}

const filesOf = (rule: TokenRule) => (rule.method === 'tls_client_auth' ? rule : { caFile: rule.caFile })

/** An answer that has no token that can be used. Its message contains nothing of the answer that could be a secret. */
class UnusableAnswer extends Error {}

function tokenIn({ status, text }: { readonly status: number; readonly text: string }): IssuedToken {
  const answer = objectIn(text)
  if (status !== 200) throw new UnusableAnswer(`the token endpoint answered ${status}${shownError(answer)}.`)
  const { access_token: value, token_type: type, expires_in: seconds } = answer
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
    throw new UnusableAnswer('the answer of the token endpoint has no access_token.')
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    throw new UnusableAnswer('the answer of the token endpoint has no token of the type Bearer.')
  const lifetime = Number(seconds)
  return { value, lifetimeMs: seconds === undefined || !(lifetime >= 0) ? undefined : lifetime * 1_000 }
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json = readJson(text)
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Only the code: a description could quote what was sent. */
function shownError({ error }: Readonly<Record<string, unknown>>): string {
  return typeof error === 'string' && /^[\w.-]+$/.test(error) ? ` ${error.slice(0, MAX_SHOWN_ERROR)}` : ''
}

/** The names of files and other details are only for the log. */
function reasonOf(error: unknown): string {
  if (error instanceof PeerError || error instanceof UnusableAnswer) return error.message
  return 'its own credential cannot be read.'
}
