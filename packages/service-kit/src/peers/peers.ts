import type { AxiosInstance } from './peer-client.ts'

/*
 * For processes that rarely or never call a peer: axios (about 10 MB and 50 ms of CPU time) is loaded on the first
 * call.
 */
export { AnswerTimeout } from './peer-answer.ts'
export { PeerError, peerFailure, unexpectedAnswer } from './peer-errors.ts'
export type { AxiosInstance }

type Options = Parameters<typeof import('./peer-client.ts').createPeerClient>[0]

/** Returns a function that creates the client on its first call. */
export function lazyPeerClient(options: Options): () => Promise<AxiosInstance> {
  let client: Promise<AxiosInstance> | undefined
  return () => {
    client ??= import('./peer-client.ts').then(({ createPeerClient }) => createPeerClient(options))
    return client
  }
}

/**
 * Returns a replacement for `fetch` to pass to libraries, so that their calls are made like all others. It supports the
 * options `method`, `headers` and a string `body`, and rejects with a PeerError.
 */
export const fetchOver =
  (client: () => Promise<AxiosInstance>) =>
  async (url: string | URL, init: RequestInit = {}): Promise<Response> => {
    const http = await client()
    const { status, headers, data } = await http.request<string>({
      url: String(url),
      method: init.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      data: init.body === null || init.body === undefined ? undefined : String(init.body),
      responseType: 'text',
    })
    // https://fetch.spec.whatwg.org/#null-body-status
    const body = status === 204 || status === 205 || status === 304 ? null : data
    return new Response(body, { status, headers: headers as Record<string, string> })
  }
