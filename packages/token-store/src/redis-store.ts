import type { RedisConnection, RedisConnectionOptions } from './redis-connection.ts'
import { RedisZone } from './redis-zone.ts'
import { type SharedStore, StoreUnavailableError, type Zone } from './shared-store.ts'

export interface RedisStoreOptions extends RedisConnectionOptions {
  /** Before every key, so that several tiers can live in one database. */
  readonly prefix?: string
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
}

/** A store that processes on several machines share: Redis or Valkey, alone, behind Sentinel or as a cluster. */
export class RedisStore implements SharedStore {
  readonly kind = 'redis'
  readonly #options: RedisStoreOptions
  #connect: typeof import('./redis-connection.ts').connectRedis | undefined
  #connection: RedisConnection | undefined
  readonly #zones = new Map<string, RedisZone>()
  #open = false

  constructor(options: RedisStoreOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    // A tier on one machine never needs the client, which weighs some megabytes.
    const { connectRedis } = await import('./redis-connection.ts')
    this.#connect = connectRedis
    this.#connection = connectRedis(this.#options)
    // Each failure reaches the caller of the command that failed; without a listener it would end the process.
    this.#connection.on('error', () => {})
    this.#open = true
    await this.#connection.connect().catch(() => {})
    for (const zone of this.#zones.values()) zone.start()
  }

  async close(): Promise<void> {
    this.#open = false
    await Promise.all([...this.#zones.values()].map((zone) => zone.stop()))
    this.#connection?.disconnect()
  }

  zone(name: string): Zone {
    let zone = this.#zones.get(name)
    if (!zone) {
      zone = new RedisZone({
        connection: () => this.#connected(),
        openFeed: (blocking) => {
          if (!this.#connect) throw new StoreUnavailableError(new Error('it is not open'))
          return this.#connect(this.#options, { blocking })
        },
        prefix: `${this.#options.prefix ?? 'hallpass'}:${name}`,
        clock: this.#options.clock ?? Date.now,
      })
      this.#zones.set(name, zone)
      if (this.#open) zone.start()
    }
    return zone
  }

  async check(): Promise<void> {
    // Any key: in a cluster a command must be sent to a node, and a key says to which.
    await this.#connected()
      .exists('hallpass:check')
      .catch((error) => {
        throw new StoreUnavailableError(error)
      })
  }

  #connected(): RedisConnection {
    if (!this.#connection) throw new StoreUnavailableError(new Error('it is not open'))
    return this.#connection
  }
}
