import { currentTrace, runInTrace, traceFrom } from '@hallpass/service-kit'
import { type AxiosInstance, createPeerClient } from '@hallpass/service-kit/axios'
import { GATEWAY, type GatewayDoor } from './gateway-door.ts'

export const SERVER = 'sse-server'
/** How often both services are checked, and so how often a page gets a heartbeat. They do not log these checks. */
export const HEARTBEAT_MS = 1_000
/** A service that needs longer than this for a health check delivers no hops either. */
const TIMEOUT_MS = 900

/** The service in the path of the hops that does not respond; `undefined` if all do. */
export type Missing = typeof GATEWAY | typeof SERVER | undefined

/**
 * Checks every second, while any page watches, whether the path of the hops is open; all pages share one check. The
 * stream itself does not show it: a stopped process keeps its connections open, and the gateway keeps its streams open
 * while the server is unavailable, so that clients miss no event.
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

  /**
   * Reports the state after each check, and immediately if a service is missing. Returns a function that unsubscribes.
   */
  subscribe(listener: (missing: Missing) => void): () => void {
    this.#listeners.add(listener)
    if (this.#missing) listener(this.#missing)
    // A loop started by a request must not continue in the trace of that request.
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
