import { randomUUID } from 'node:crypto'
import type { RedisConnection } from './redis-connection.ts'
import { type Change, WATCH_WINDOW_MS } from './shared-store.ts'

/** How long the server may keep a read waiting for a change; two fit into the watch window. */
const BLOCK_MS = 200
/** After a failed read; the connection itself comes back at its own pace. */
const PAUSE_MS = 100
/**
 * How long a process that finds an empty store waits before it believes that: twice what the others need to notice, and
 * to write back what they know. The wait ends when the store has been read.
 */
const SETTLE_MS = 2 * WATCH_WINDOW_MS

/** Far longer than a disconnection takes. */
const STOP_MS = 1_000

/**
 * Follows a Redis stream of changed keys. Unlike a subscription, a stream is read from where one stopped, so nothing
 * is lost between two connections; and a read that comes back empty proves that the connection lives. A random
 * generation beside the stream shows whether the store has lost everything: no command of ours ever removes it.
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
    // In a cluster one node has both, and the pinned entries: what is lost is lost together.
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
    this.#connection?.disconnect()
    // A connection that is only being made can swallow what was asked of it; closing must not wait for that.
    await Promise.race([this.#running, new Promise((resolve) => setTimeout(resolve, STOP_MS))])
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
    // One that was made after the stop.
    this.#connection?.disconnect()
  }

  /**
   * Changes from here on are read one by one; of those before nothing is known, e.g. because a replica that became
   * master never heard of them.
   */
  async #begin(): Promise<void> {
    if (!this.#connection) {
      this.#connection = this.#open(BLOCK_MS)
      this.#connection.on('error', () => {})
      await this.#connection.connect()
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

  /** False when the store is no longer the one that was read so far. */
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
    // An answer may be long under way: it speaks of the time when it was sent, which an empty one puts off.
    this.#confirmedAt = answer ? asked : asked + BLOCK_MS
    return true
  }
}
