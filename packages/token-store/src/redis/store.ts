import { Room } from '../room.ts'
import {
  type SharedStore,
  StoreFullError,
  type StoreOptions,
  StoreUnavailableError,
  type StoreUsage,
  UnsafeStoreError,
  type Zone,
  type ZoneOptions,
} from '../shared-store.ts'
import { mastersOf } from './cells.ts'
import type { RedisConnection, RedisConnectionOptions } from './connection.ts'
import { type RedisMemory, readMemory } from './memory.ts'
import { open } from './open.ts'
import { RedisZone } from './zone.ts'

export interface RedisStoreOptions extends RedisConnectionOptions, StoreOptions {
  /** The prefix of every key, so that several tiers can share one database. */
  readonly prefix?: string
}

/** Rarely, because the policy and memory limit change only when an operator changes them; one small command per master. */
const MEMORY_CHECK_MS = 5_000
/** An arbitrary key: in a cluster, the key determines the node that gets the command. */
const CHECK_KEY = 'hallpass:check'
const CHECK_KEY_MS = 1_000

/** A store that processes on several machines share: Redis or Valkey as a single server, behind Sentinel or as a cluster. */
export class RedisStore implements SharedStore {
  readonly kind = 'redis'
  readonly #options: RedisStoreOptions
  readonly #room: Room
  #connect: typeof import('./connection.ts').connectRedis | undefined
  #connection: RedisConnection | undefined
  readonly #zones = new Map<string, RedisZone>()
  #open = false
  #memory: RedisMemory = {}
  #memoryReadAt = Number.NEGATIVE_INFINITY
  /** The last notice about the policy, so that it is not repeated. */
  #policyNotice: string | undefined
  #hasPinned = false
  /** Whether the operator was told that Redis does not append its writes to a file. */
  #isVolatile = false

  constructor(options: RedisStoreOptions) {
    this.#options = options
    this.#room = new Room(options.onNotice)
  }

  get isFull(): boolean {
    return this.#room.isFull
  }

  async open(): Promise<void> {
    // Imported only here: a tier on one machine does not need the client, which takes some megabytes.
    const { connectRedis } = await import('./connection.ts')
    this.#connect = connectRedis
    this.#connection = connectRedis(this.#options)
    // Errors reach the caller of the failed command; without a listener, they would also crash the process.
    this.#connection.on('error', () => {})
    this.#open = true
    await open(this.#connection).catch(() => {})
    for (const zone of this.#zones.values()) zone.start()
    await this.check().catch(() => {})
  }

  async close(): Promise<void> {
    this.#open = false
    await Promise.all([...this.#zones.values()].map((zone) => zone.stop()))
    this.#connection?.disconnect()
  }

  zone(name: string, { pinned = false }: ZoneOptions = {}): Zone {
    let zone = this.#zones.get(name)
    if (!zone) {
      zone = new RedisZone({
        connection: () => this.#connected(),
        openFeed: (blocking) => {
          if (!this.#connect) throw new StoreUnavailableError(new Error('not open'))
          return this.#connect(this.#options, { blocking })
        },
        prefix: `${this.#options.prefix ?? 'hallpass'}:${name}`,
        pinned,
        clock: this.#options.clock ?? Date.now,
        read: (command) => this.#read(command),
        write: (command) => this.#write(command),
      })
      this.#zones.set(name, zone)
      this.#hasPinned ||= pinned
      if (this.#open) zone.start()
    }
    return zone
  }

  async check(): Promise<void> {
    // While the store is full, try a write to see whether it has room again.
    if (this.isFull) await this.#write(() => this.#connected().set(CHECK_KEY, '1', 'PX', CHECK_KEY_MS))
    else await this.#read(() => this.#connected().exists(CHECK_KEY))
    await this.#readMemory()
    const { evictionPolicy: policy, maxBytes } = this.#memory
    if (maxBytes !== undefined && policy?.startsWith('allkeys'))
      throw new UnsafeStoreError(
        `Redis may evict entries that must not be lost, e.g. keys, revocations or blocks (maxmemory-policy ${policy}). Set maxmemory-policy to volatile-lru.`,
      )
  }

  async usage(): Promise<StoreUsage> {
    await this.#readMemory()
    const { appendOnly: _, ...usage } = this.#memory
    return usage
  }

  async #readMemory(): Promise<void> {
    if (performance.now() - this.#memoryReadAt < MEMORY_CHECK_MS) return
    try {
      this.#memory = await readMemory(mastersOf(this.#connected()))
    } catch {
      this.#memory = {}
    }
    this.#memoryReadAt = performance.now()
    this.#reportPolicy()
  }

  #reportPolicy(): void {
    const { evictionPolicy: policy, maxBytes } = this.#memory
    const notice =
      policy === undefined
        ? 'Redis does not report its maxmemory-policy (INFO memory); make sure that it is volatile-lru or noeviction, or keys, revocations or blocks may be lost'
        : maxBytes !== undefined && policy.startsWith('allkeys')
          ? `Redis may evict keys, revocations or blocks (maxmemory-policy ${policy}): set maxmemory-policy to volatile-lru`
          : undefined
    if (notice !== undefined && notice !== this.#policyNotice) this.#options.onNotice?.(notice)
    this.#policyNotice = notice
    if (this.#memory.appendOnly !== false || !this.#hasPinned || this.#isVolatile) return
    this.#isVolatile = true
    this.#options.onNotice?.(
      'Redis keeps its entries only in memory or in snapshots, so a restart of Redis loses pinned entries (keys, revocations, blocks): set appendonly to yes',
    )
  }

  #connected(): RedisConnection {
    if (!this.#connection) throw new StoreUnavailableError(new Error('not open'))
    return this.#connection
  }

  async #read<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command()
    } catch (error) {
      throw error instanceof StoreUnavailableError ? error : new StoreUnavailableError(error)
    }
  }

  async #write<T>(command: () => Promise<T>): Promise<T> {
    try {
      const answer = await command()
      this.#room.free()
      return answer
    } catch (error) {
      if (error instanceof StoreUnavailableError) throw error
      if (!/\bOOM\b/.test((error as Error).message)) throw new StoreUnavailableError(error)
      const reason = 'Redis is out of memory: maxmemory is reached, and nothing can be evicted'
      this.#room.full(reason)
      throw new StoreFullError(reason)
    }
  }
}
