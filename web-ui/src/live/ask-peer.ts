import { unexpectedAnswer } from '@hallpass/service-kit'
import { createPeerClient } from '@hallpass/service-kit/axios'

/**
 * For what a live view reads. It is drawn each second, and its page waits 4 s for two services in turn: one that needs longer than this is
 * shown as away, and what the others say is shown meanwhile.
 */
export const LIVE_TIMEOUT_MS = 1_500

interface Question {
  /** GET by default. */
  readonly method?: 'GET' | 'POST' | 'PATCH'
  readonly body?: object
}

/** Asks one service for JSON; whatever it says that is no good answer is an error that names it. */
export type AskPeer = <T>(path: string, question?: Question) => Promise<T>

/** @throws {PeerError} 502 with the peer's own words. */
export function askPeer(peer: string, baseUrl: string): AskPeer {
  const http = createPeerClient({ peer, baseUrl })
  return async <T>(path: string, { method = 'GET', body }: Question = {}) => {
    // An action may take longer than a look: an RSA key is made.
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
