import { createPeerClient, HttpError, type PeerClientOptions, unexpectedAnswer } from '@hallpass/service-kit'

const PEER = 'token-cache-auth'

export interface AuthClientOptions {
  readonly baseUrl: string
  /** Prove that the caller is a tier: name, value, name, value … */
  readonly fields: readonly string[]
  readonly tls?: NonNullable<PeerClientOptions['tls']>
  readonly timeoutMs: number
}

/** How a proxy asks for a token. */
export interface AuthClient {
  /**
   * A token for the user.
   * @throws {HttpError} 403 when the user may have none; a PeerError when the tier does not answer, or says something else.
   */
  tokenFor(user: string, about: { readonly userAgent: string; readonly requestId: string }): Promise<string>
}

export function createAuthClient({ baseUrl, fields, tls, timeoutMs }: AuthClientOptions): AuthClient {
  const http = createPeerClient({ peer: PEER, baseUrl, timeoutMs, ...(tls ? { tls } : {}) })
  const proof = Object.fromEntries(
    fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1] as string]] : [])),
  )
  return {
    async tokenFor(user, { userAgent, requestId }) {
      const { status, data } = await http.get('/auth', {
        headers: {
          ...proof,
          'remote-user': user,
          'user-agent': userAgent,
          'x-request-id': requestId,
          accept: 'application/jwt',
        },
        responseType: 'text',
        transformResponse: (text: string) => text,
      })
      if (status === 200) return data as string
      if (status === 403) throw new HttpError(403, 'user_denied', 'This user gets no tokens.')
      throw unexpectedAnswer(PEER, status, codeOf(data))
    },
  }
}

function codeOf(data: unknown): string {
  try {
    return String((JSON.parse(String(data)) as { error?: { code?: unknown } }).error?.code)
  } catch {
    return 'no reason given'
  }
}
