import { unexpectedAnswer } from '@hallpass/service-kit'
import { createPeerClient } from '@hallpass/service-kit/axios'

/**
 * For requests of a live view, which are sent every second. Its page waits 4 s for two services in turn: a service that
 * needs longer than this is shown as unavailable, while the others' responses are shown.
 */
export const LIVE_TIMEOUT_MS = 1_500

interface Question {
  /** `GET` by default. */
  readonly method?: 'GET' | 'POST' | 'PATCH'
  readonly body?: object
}

/** Requests JSON from one service; any response that is not a success is an error that names it. */
export type AskPeer = <T>(path: string, question?: Question) => Promise<T>

/** @throws {PeerError} 502 with the peer's own message */
export function askPeer(peer: string, baseUrl: string): AskPeer {
  const http = createPeerClient({ peer, baseUrl })
  return async <T>(path: string, { method = 'GET', body }: Question = {}) => {
    // An action may take longer than a view, e.g. creating an RSA key.
    const timeout = method === 'GET' ? LIVE_TIMEOUT_MS : 0
    const { status, data } = await http.request<T>({ method, url: path, data: body, timeout })
    if (status >= 300) throw unexpectedAnswer(peer, status, wordsOf(data))
    return data
  }
}

function wordsOf(body: unknown): string {
  const { error } = (typeof body === 'object' && body !== null ? body : {}) as {
    error?: { message?: string; text?: string }
  }
  return error?.message ?? error?.text ?? String(body).slice(0, 200)
}
