import { randomUUID } from 'node:crypto'
import { type Change, WATCH_WINDOW_MS } from '../shared-store.ts'
import type { RedisConnection } from './connection.ts'
import { open } from './open.ts'

/** How long a read waits at the server for a change; two such reads fit into the watch window. */
const BLOCK_MS = 200
/** The pause after a failed read; the connection itself reconnects independently. */
const PAUSE_MS = 100
/**
 * How long a process that finds the store empty waits before it reads it: twice the time that the others need to notice
 * the loss and write back their entries.
 */
const SETTLE_MS = 2 * WATCH_WINDOW_MS

/** Far longer than a disconnect takes. */
const STOP_MS = 1_000

/**
 * Follows a Redis stream of changed keys. Unlike a subscription, a stream can be resumed where reading stopped, so no change
 * is lost between two connections, and an empty response proves that the connection is alive. A random generation, stored
 * next to the stream and never removed by our commands, shows whether the store has lost all data.
 */
export class RedisFeed {
  readonly #open: (blockingMs: number) => RedisConnection
  readonly #stream: string
  readonly #generationKey: string
  readonly #listener: (change: Change) => void
  readonly #settle: boolean
  #connection: RedisConnection | undefined
  #lastId = '$'
  #generation: string | null | undefined
  #confirmedAt = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #stopped = false

  constructor(
    open: (blockingMs: number) => RedisConnection,
    prefix: string,
    listener: (change: Change) => void,
    { settle }: { readonly settle: boolean },
  ) {
    this.#open = open
    // The same hash tag: in a cluster, one node stores both and the pinned entries, so they are lost together or not at all.
    this.#stream = `{${prefix}}:changes`
    this.#generationKey = `{${prefix}}:generation`
    this.#listener = listener
    this.#settle = settle
  }

  start(): void {
    this.#stopped = false
    this.#running = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    // The read in progress ends first: ioredis keeps the timer of a command that it disconnects. A connection that is still
    // connecting can drop a command; closing must not wait for its response.
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS)
    })
    await Promise.race([this.#running, late])
    clearTimeout(timer)
    this.#connection?.disconnect()
    this.#confirmedAt = Number.NEGATIVE_INFINITY
  }

  isCurrent(): boolean {
    return performance.now() - this.#confirmedAt < WATCH_WINDOW_MS
  }

  async #follow(): Promise<void> {
    let lost = true
    while (!this.#stopped) {
      try {
        if (lost) await this.#begin()
        lost = !(await this.#read())
      } catch {
        lost = true
        if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    }
    // In case it was opened after stop().
    this.#connection?.disconnect()
  }

  /**
   * Starts reading at the end of the stream. Earlier changes are unknown, e.g. because a replica that became master
   * never received them.
   */
  async #begin(): Promise<void> {
    if (!this.#connection) {
      this.#connection = this.#open(BLOCK_MS)
      this.#connection.on('error', () => {})
      await open(this.#connection)
    }
    const known = this.#generation
    const isNew = (await this.#connection.set(this.#generationKey, randomUUID(), 'NX')) !== null
    if (isNew && known === undefined && this.#settle)
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
    const [newest] = await this.#connection.xrevrange(this.#stream, '+', '-', 'COUNT', 1)
    this.#generation = await this.#connection.get(this.#generationKey)
    this.#lastId = newest?.[0] ?? '0-0'
    this.#listener(known === undefined || known === this.#generation ? 'missed' : 'emptied')
    this.#confirmedAt = performance.now()
  }

  /** Reads the next changes. Returns false if the store has lost its data since the last read. */
  async #read(): Promise<boolean> {
    const asked = performance.now()
    const answer = await this.#connection?.xread(
      'COUNT',
      1000,
      'BLOCK',
      BLOCK_MS,
      'STREAMS',
      this.#stream,
      this.#lastId,
    )
    if ((await this.#connection?.get(this.#generationKey)) !== this.#generation) return false
    for (const [id, fields] of answer?.[0]?.[1] ?? []) {
      this.#lastId = id
      this.#listener(fields[1] === '' ? 'cleared' : { key: fields[1] as string })
    }
    // A response may arrive late: it is current as of the request, or, if empty, as of the end of the wait at the server.
    this.#confirmedAt = answer ? asked : asked + BLOCK_MS
    return true
  }
}
