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
  /** Prove that the caller is a tier: name, value, name, value … */
  readonly fields: readonly string[]
  readonly tls?: NonNullable<PeerClientOptions['tls']>
  readonly timeoutMs: number
}

/** What a call is for. */
export interface TokenCall {
  readonly userAgent: string
  readonly requestId: string
  readonly trace?: TraceContext | undefined
}

/** How a proxy asks for a token. */
export interface AuthClient {
  /**
   * A token for the user.
   * @throws {HttpError} 403 when the user may have none; a PeerError when the tier does not answer, or says something else.
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
      if (status === 403) throw new HttpError(403, 'user_denied', 'This user gets no tokens.')
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
