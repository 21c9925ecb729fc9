import { createPeerCaller, type PeerCall, PeerError } from '@hallpass/service-kit'
import { parseJson } from '@hallpass/untrusted/json'

/** What else a question has; it is a GET unless it says so. */
type Question = Partial<Omit<PeerCall, 'path'>>

/**
 * For what a live view reads. It is drawn each second, and its page waits 4 s for two services in turn: one that needs longer than this is
 * shown as away, and what the others say is shown meanwhile.
 */
export const LIVE_TIMEOUT_MS = 1_500

/** Asks one service for JSON; whatever it says that is no good answer is an error that names it. */
export type AskPeer = <T>(path: string, question?: Question) => Promise<T>

/** @throws {PeerError} 502 with the peer's own words. */
export function askPeer(peer: string, baseUrl: string): AskPeer {
  const look = createPeerCaller({ peer, baseUrl, timeoutMs: LIVE_TIMEOUT_MS })
  // An action may take longer: an RSA key is made.
  const act = createPeerCaller({ peer, baseUrl })
  return async <T>(path: string, question: Question = {}) => {
    const call = { method: 'GET', path, ...question } as const
    const { status, text } = await (call.method === 'GET' ? look : act)(call)
    const body = parse(text)
    if (status >= 300)
      throw new PeerError(peer, 502, 'peer_refused', `${peer} answered ${status}: ${wordsOf(body)}`)
    return body as T
  }
}

function parse(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return text
  }
}

function wordsOf(body: unknown): string {
  const { error } = (typeof body === 'object' && body !== null ? body : {}) as {
    error?: { message?: string; text?: string }
  }
  return error?.message ?? error?.text ?? String(body).slice(0, 200)
}
