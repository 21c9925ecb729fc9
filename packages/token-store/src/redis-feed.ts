import type { RedisConnection } from './redis-connection.ts'
import { WATCH_WINDOW_MS } from './shared-store.ts'

/** How long the server may keep a read waiting for a change; two fit into the watch window. */
const BLOCK_MS = 200
/** After a failed read; the connection itself comes back at its own pace. */
const PAUSE_MS = 100

/**
 * Follows a Redis stream of changed keys. Unlike a subscription, a stream is read from where one stopped, so nothing
 * is lost between two connections; and a read that comes back empty proves that the connection lives.
 */
export class RedisFeed {
  readonly #open: (blockingMs: number) => RedisConnection
  readonly #stream: string
  readonly #listener: (key: string | undefined) => void
  #connection: RedisConnection | undefined
  #lastId = '$'
  #confirmedAt = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #stopped = false

  constructor(
    open: (blockingMs: number) => RedisConnection,
    stream: string,
    listener: (key: string | undefined) => void,
  ) {
    this.#open = open
    this.#stream = stream
    this.#listener = listener
  }

  start(): void {
    this.#stopped = false
    this.#running = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#connection?.disconnect()
    await this.#running
    this.#confirmedAt = Number.NEGATIVE_INFINITY
  }

  isCurrent(): boolean {
    return performance.now() - this.#confirmedAt < WATCH_WINDOW_MS
  }

  async #follow(): Promise<void> {
    let lost = true
    while (!this.#stopped) {
      try {
        if (lost) {
          await this.#begin()
          lost = false
        }
        await this.#read()
      } catch {
        lost = true
        if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    }
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
    const [newest] = await this.#connection.xrevrange(this.#stream, '+', '-', 'COUNT', 1)
    this.#lastId = newest?.[0] ?? '0-0'
    this.#listener(undefined)
    this.#confirmedAt = performance.now()
  }

  async #read(): Promise<void> {
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
    for (const [id, fields] of answer?.[0]?.[1] ?? []) {
      this.#lastId = id
      this.#listener(fields[1] === '' ? undefined : fields[1])
    }
    // An answer may be long under way: it speaks of the time when it was sent, which an empty one puts off.
    this.#confirmedAt = answer ? asked : asked + BLOCK_MS
  }
}
