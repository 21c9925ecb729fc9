import { createPeerCaller, currentTrace, type PeerCaller, runInTrace, traceFrom } from '@hallpass/service-kit'

/** A reader sees a second pass; the server answers `/readyz` in a millisecond, and logs nothing of it. */
const ASK_MS = 1_000
/** A server that needs longer than this for a readiness check does not deliver hops either. */
const TIMEOUT_MS = 900

/**
 * Whether the SSE server is there, asked only while somebody watches, and once for all who do. The gateway keeps its
 * streams open while the server is away, so that they miss nothing; from the stream alone nobody could tell.
 */
export class ServerWatch {
  readonly #ask: PeerCaller
  readonly #listeners = new Set<(isThere: boolean) => void>()
  #timer: NodeJS.Timeout | undefined
  #isThere = true

  constructor(sseServerUrl: string) {
    this.#ask = createPeerCaller({ peer: 'sse-server', baseUrl: sseServerUrl, timeoutMs: TIMEOUT_MS })
  }

  /** Tells how it is when that changes, and at once when the server is away; the result ends that. */
  subscribe(listener: (isThere: boolean) => void): () => void {
    this.#listeners.add(listener)
    if (!this.#isThere) listener(false)
    // A loop that a request began must not live in that request's trace.
    this.#timer ??= runInTrace({ ...(currentTrace() ?? traceFrom(undefined)), sampled: false }, () =>
      setInterval(() => void this.#look(), ASK_MS).unref(),
    )
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
      this.#isThere = true
    }
  }

  async #look(): Promise<void> {
    const isThere = await this.#ask({ method: 'GET', path: '/readyz' }).then(
      ({ status }) => status === 200,
      () => false,
    )
    if (isThere === this.#isThere || !this.#timer) return
    this.#isThere = isThere
    for (const listener of this.#listeners) listener(isThere)
  }
}
