import { createPeerCaller } from '@hallpass/service-kit'
import { parseJson } from '@hallpass/untrusted/json'

export interface BackendAnswer {
  readonly status: number
  /** Parsed when it is JSON; a mesh refuses in plain text (`RBAC: access denied`). */
  readonly body: unknown
  /** Why a 401 or 403 was given, as the guard put it (RFC 6750 §3). */
  readonly challenge: string | undefined
}

export interface BackendCall {
  /** The user's access token; absent for a visitor who has not logged in. */
  readonly accessToken: string | undefined
  /** Trace headers of the request that causes this call. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface BackendClient {
  /** @throws {PeerError} when there is no answer; every answer, whatever its status, is returned. */
  get(path: string, call: BackendCall): Promise<BackendAnswer>
}

export function createBackendClient({ peer, baseUrl }: { peer: string; baseUrl: string }): BackendClient {
  const call = createPeerCaller({ peer, baseUrl })
  return {
    async get(path, { accessToken, headers = {} }) {
      const answer = await call({
        method: 'GET',
        path,
        headers: {
          ...headers,
          accept: 'application/json',
          ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
        },
      })
      const challenge = answer.headers['www-authenticate']
      return { status: answer.status, body: parseBody(answer.text), challenge }
    },
  }
}

function parseBody(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return text
  }
}
