import {
  createPeerCaller,
  HttpError,
  type PeerClientOptions,
  type TraceContext,
  unexpectedAnswer,
} from '@hallpass/service-kit'
import { parseJson } from '@hallpass/untrusted/json'

const PEER = 'token-cache-auth'

export interface AuthClientOptions {
  readonly baseUrl: string
  /** Header fields that authenticate the caller as a tier: name, value, name, value … */
  readonly fields: readonly string[]
  readonly tls?: NonNullable<PeerClientOptions['tls']>
  readonly timeoutMs: number
}

/** The request for which a token is needed. */
export interface TokenCall {
  readonly userAgent: string
  readonly requestId: string
  readonly trace?: TraceContext | undefined
}

/** Requests tokens from the auth tier. */
export interface AuthClient {
  /**
   * Returns a token for the user.
   * @throws {HttpError} 403 if the user is denied; a PeerError if the tier does not answer or its response is unexpected.
   */
  tokenFor(user: string, about: TokenCall): Promise<string>
}

export function createAuthClient({ baseUrl, fields, tls, timeoutMs }: AuthClientOptions): AuthClient {
  // The pool and not axios: the call of every miss (docs/decisions/003-axios-over-a-pool.md).
  const call = createPeerCaller({ peer: PEER, baseUrl, timeoutMs, ...(tls ? { tls } : {}) })
  const proof = Object.fromEntries(
    fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1] as string]] : [])),
  )
  return {
    async tokenFor(user, { userAgent, requestId, trace }) {
      const { status, text } = await call({
        method: 'GET',
        path: '/auth',
        trace,
        headers: {
          ...proof,
          'remote-user': user,
          'user-agent': userAgent,
          'x-request-id': requestId,
          accept: 'application/jwt',
        },
      })
      if (status === 200) return text
      if (status === 403)
        throw new HttpError(
          403,
          'user_denied',
          'This user is not allowed to get tokens. See DENIED_USERS at the auth tier.',
        )
      throw unexpectedAnswer(PEER, status, reasonIn(text))
    },
  }
}

function reasonIn(text: string): string {
  try {
    const { error } = parseJson(text) as { error?: { code?: string; message?: string } }
    return error?.message ?? error?.code ?? 'no reason given'
  } catch {
    return 'no reason given'
  }
}
