import { Agent, type AgentOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../clock.ts'
import type { ClientSecurity } from './client.ts'
import { callAt } from './expiry.ts'

/**
 * A connection is given no new request in the last fifth of the time that it had left when it began, half a
 * minute at most: what is under way then ends in peace before the certificates do.
 */
const RETIREMENT_SHARE = 0.2
const MAX_RETIREMENT_MS = 30_000

const RETIRED = Symbol('retired')

export interface SpiffeAgentOptions
  extends Pick<AgentOptions, 'keepAlive' | 'maxSockets' | 'maxFreeSockets' | 'timeout'> {
  readonly clock?: Clock
}

/**
 * An agent for `https.request`, axios and whatever takes one. It keeps no TLS sessions, and it is made for one
 * {@link ClientSecurity}: the pool of an agent does not know who is authorized, so it must not be shared.
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
      // Thrown from here it would fall out of `https.request`; this way it is the request's `error`.
      process.nextTick(callback, error)
      return undefined
    }
  }

  override keepSocketAlive(socket: Duplex & { [RETIRED]?: boolean }): boolean {
    if (socket[RETIRED]) return false
    const keep = (Agent.prototype as unknown as { keepSocketAlive(socket: Duplex): boolean }).keepSocketAlive
    return keep.call(this, socket)
  }

  #retireInTime(socket: TLSSocket & { [RETIRED]?: boolean }): void {
    const expiresAt = this.#security.expiresAt(socket)
    if (!Number.isFinite(expiresAt)) return
    const left = expiresAt - this.#clock()
    const retireAt = expiresAt - Math.min(MAX_RETIREMENT_MS, left * RETIREMENT_SHARE)
    const cancel = callAt(retireAt, this.#clock, () => {
      socket[RETIRED] = true
      const idle = Object.values(this.freeSockets).flat()
      if (idle.includes(socket)) socket.destroy()
    })
    socket.once('close', cancel)
  }
}
