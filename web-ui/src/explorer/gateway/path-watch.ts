import { currentTrace, runInTrace, traceFrom } from '@hallpass/service-kit'
import { type AxiosInstance, createPeerClient } from '@hallpass/service-kit/axios'
import { GATEWAY, type GatewayDoor } from './gateway-door.ts'

export const SERVER = 'sse-server'
/** How often both are asked, and so how often a page hears that they answer. They log nothing of it. */
export const HEARTBEAT_MS = 1_000
/** A service that needs longer than this to answer a health check delivers no hops either. */
const TIMEOUT_MS = 900

/** Which part of the way of the hops does not answer; `undefined` when all of it does. */
export type Missing = typeof GATEWAY | typeof SERVER | undefined

/**
 * Whether the way of the hops is open, asked each second while somebody watches, and once for all who do. From the stream
 * itself nobody could tell: a process that is stopped keeps its connections open, and the gateway keeps its streams open
 * while the server is away, so that they miss nothing.
 */
export class PathWatch {
  readonly #server: AxiosInstance
  readonly #door: GatewayDoor
  readonly #listeners = new Set<(missing: Missing) => void>()
  #timer: NodeJS.Timeout | undefined
  #missing: Missing

  constructor(sseServerUrl: string, door: GatewayDoor) {
    this.#server = createPeerClient({ peer: SERVER, baseUrl: sseServerUrl, timeoutMs: TIMEOUT_MS })
    this.#door = door
  }

  /** Tells after each look how it is, and at once when something is missing; the result ends that. */
  subscribe(listener: (missing: Missing) => void): () => void {
    this.#listeners.add(listener)
    if (this.#missing) listener(this.#missing)
    // A loop that a request began must not live in that request's trace.
    this.#timer ??= runInTrace({ ...(currentTrace() ?? traceFrom(undefined)), sampled: false }, () => {
      void this.#look()
      return setInterval(() => void this.#look(), HEARTBEAT_MS).unref()
    })
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
      this.#missing = undefined
    }
  }

  async #look(): Promise<void> {
    const [gateway, server] = await Promise.all([
      this.#door.answers(TIMEOUT_MS),
      this.#server.get('/readyz').then(
        ({ status }) => status === 200,
        () => false,
      ),
    ])
    if (!this.#timer) return
    this.#missing = gateway ? (server ? undefined : SERVER) : GATEWAY
    for (const listener of this.#listeners) listener(this.#missing)
  }
}
