import { HttpError, PeerError, retryAfterSeconds } from '@hallpass/service-kit'
import { readJson } from '@hallpass/untrusted/json'
import type * as Library from 'openid-client'

/** The provider's name in errors and logs. */
export const PEER = 'identity-provider'

interface RefusalDetails {
  /** The provider's `Retry-After`. */
  readonly retryAfterSeconds?: number | undefined
  /** The refresh token of an answer that failed verification: the one that was sent may no longer work. */
  readonly rotatedRefreshToken?: string | undefined
}

/** The provider declined a login, or its response failed verification. Never contains a code, a state or a token in its message. */
export class LoginRefused extends Error {
  /** The error code of OAuth, of the client library, or of the verification of the ID token. */
  readonly code: string
  /** True if the user or the provider declined, false if the response failed verification. */
  readonly declined: boolean
  /** Set if the provider says when to retry. */
  readonly retryAfterSeconds: number | undefined
  readonly rotatedRefreshToken: string | undefined

  constructor(code: string, message: string, declined: boolean, details: RefusalDetails = {}) {
    super(message)
    this.name = 'LoginRefused'
    this.code = code
    this.declined = declined
    this.retryAfterSeconds = details.retryAfterSeconds
    this.rotatedRefreshToken = details.rotatedRefreshToken
  }
}

/** The provider answered, but not as an OpenID provider does, or with an error of its own (5xx). */
export class ProviderFault extends PeerError {
  readonly retryAfterSeconds: number | undefined

  constructor(message: string, retryAfterSeconds?: number, code = 'peer_unexpected_answer') {
    super(PEER, 502, code, message)
    this.name = 'ProviderFault'
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/**
 * Converts an error of the library, whose cause can contain whole responses with tokens, to one without them. An error of this
 * service is returned unchanged.
 */
export function refusal(oidc: typeof Library, error: unknown, address: string): Error {
  const { code = '', message, cause } = error as { code?: string; message: string; cause?: unknown }
  if (error instanceof oidc.AuthorizationResponseError)
    return new LoginRefused(error.error, error.error_description ?? error.error, true)
  const known = [error, cause].find((one) => one instanceof HttpError || one instanceof LoginRefused)
  if (known) return known as Error
  if (code === 'OAUTH_RESPONSE_IS_NOT_JSON')
    return new ProviderFault(`${PEER} at ${address} sent an invalid response (${message}).`)
  // Not the provider's fault but one of this service: the page says no more than that.
  if (!code.startsWith('OAUTH_')) return cause instanceof Error ? cause : (error as Error)
  // The outer message is general; the inner one names the wrong parameter, but never its value.
  return new LoginRefused(code, cause instanceof Error ? cause.message : message, false)
}

/**
 * Converts an answer of the token or revocation endpoint that is not 200. The library would not do: it reads no error of a 5xx,
 * and none of a response with a challenge, in which `invalid_grant` could be.
 */
export async function refusedAnswer(response: Response, address: string): Promise<Error> {
  const { status, headers } = response
  const { error, error_description } = errorIn(await response.text())
  const isChallenge = status === 401 && headers.has('www-authenticate')
  const code = error ?? (isChallenge ? 'invalid_client' : undefined)
  const waitSeconds = retryAfterSeconds(headers.get('retry-after'))
  // Of a server that fails, an error such as `invalid_grant` says nothing about the grant.
  if (code === undefined || status < 400 || status > 499)
    return new ProviderFault(
      `${PEER} at ${address} answered ${status}${code === undefined ? ' without an error code' : `: ${(error_description ?? code).replace(/\.$/, '')}`}.`,
      waitSeconds,
      code ?? `peer_unexpected_answer_${status}`,
    )
  const message = code === 'invalid_client' ? CLIENT_NOT_ACCEPTED : (error_description ?? code)
  return new LoginRefused(code, message, true, { retryAfterSeconds: waitSeconds })
}

const CLIENT_NOT_ACCEPTED =
  'the provider does not accept the authentication of this client; compare AUTH0_CLIENT_ID, the secret or key, and CLIENT_AUTH with its settings'

/** Reads an error response (RFC 6749 §5.2), whatever its content type. */
function errorIn(text: string): { error?: string; error_description?: string } {
  try {
    const { error, error_description } = readJson(text) as Record<string, unknown>
    if (typeof error !== 'string' || error === '') return {}
    return { error, ...(typeof error_description === 'string' && { error_description }) }
  } catch {
    return {}
  }
}
