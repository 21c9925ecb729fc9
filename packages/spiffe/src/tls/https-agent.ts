import { Agent, type AgentOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../clock.ts'
import type { ClientSecurity } from './client.ts'
import { callAt, retirementOf } from './expiry.ts'

const RETIRES_AT = Symbol('retires at')

type Pooled = Duplex & { [RETIRES_AT]?: number }

/** Methods that Node's types for Agent lack. */
const INHERITED = Agent.prototype as unknown as {
  keepSocketAlive(this: Agent, socket: Duplex): boolean
  addRequest(this: Agent, ...args: readonly unknown[]): void
}

export interface SpiffeAgentOptions
  extends Pick<AgentOptions, 'keepAlive' | 'maxSockets' | 'maxFreeSockets' | 'timeout'> {
  readonly clock?: Clock
}

/**
 * An agent for `https.request`, axios and other clients that accept one. It caches no TLS sessions. Its connection pool
 * belongs to one {@link ClientSecurity} and must not be shared, because pooled connections are not authorized again.
 */
export class SpiffeAgent extends Agent {
  readonly #security: ClientSecurity
  readonly #clock: Clock

  constructor(security: ClientSecurity, { clock = systemClock, ...options }: SpiffeAgentOptions = {}) {
    super({ keepAlive: true, ...options, maxCachedSessions: 0 })
    this.#security = security
    this.#clock = clock
  }

  override createConnection(
    options: ConnectionOptions,
    callback: (error: Error | null, socket?: Duplex) => void,
  ): TLSSocket | undefined {
    try {
      const socket = this.#security.connect(options)
      socket.once('secureConnect', () => this.#retireInTime(socket))
      return socket
    } catch (error) {
      // If thrown here, `https.request` itself would throw; this way the request emits `error`.
      process.nextTick(callback, error)
      return undefined
    }
  }

  override keepSocketAlive(socket: Pooled): boolean {
    if (this.#isRetired(socket)) return false
    return INHERITED.keepSocketAlive.call(this, socket)
  }

  /** Called by `https.request`. Removes retired connections by the clock, because timers are late in a busy process. */
  addRequest(...args: readonly unknown[]): void {
    for (const pool of Object.values(this.freeSockets) as (Pooled[] | undefined)[])
      for (const socket of [...(pool ?? [])])
        if (this.#isRetired(socket)) {
          pool?.splice(pool.indexOf(socket), 1)
          socket.destroy()
        }
    INHERITED.addRequest.call(this, ...args)
  }

  #isRetired(socket: Pooled): boolean {
    return this.#clock() >= (socket[RETIRES_AT] ?? Number.POSITIVE_INFINITY)
  }

  #retireInTime(socket: TLSSocket & Pooled): void {
    const expiresAt = this.#security.expiresAt(socket)
    if (!Number.isFinite(expiresAt)) return
    const retireAt = retirementOf(expiresAt, this.#clock())
    socket[RETIRES_AT] = retireAt
    const cancel = callAt(retireAt, this.#clock, () => {
      const idle = Object.values(this.freeSockets).flat()
      if (idle.includes(socket)) socket.destroy()
    })
    socket.once('close', cancel)
  }
}
