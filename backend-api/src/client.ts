import { createPeerClient } from '@hallpass/service-kit/axios'

export interface BackendAnswer {
  readonly status: number
  /** Parsed if it is JSON, else a string: a mesh rejects in plain text (`RBAC: access denied`). */
  readonly body: unknown
  /** The `WWW-Authenticate` value of a 401 or 403, with the reason (RFC 6750 §3). */
  readonly challenge: string | undefined
}

export interface BackendCall {
  /** The user's access token; undefined if the user is not logged in. */
  readonly accessToken: string | undefined
  /** Trace headers of the request that caused this call. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface BackendClient {
  /** Calls the backend and returns its response, whatever the status. @throws {PeerError} if there is no response */
  get(path: string, call: BackendCall): Promise<BackendAnswer>
}

export function createBackendClient({ peer, baseUrl }: { peer: string; baseUrl: string }): BackendClient {
  const http = createPeerClient({ peer, baseUrl })
  return {
    async get(path, { accessToken, headers = {} }) {
      const answer = await http.get<unknown>(path, {
        headers: {
          ...headers,
          accept: 'application/json',
          ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
        },
      })
      const challenge = answer.headers['www-authenticate'] as string | undefined
      return { status: answer.status, body: answer.data, challenge }
    },
  }
}
