import { encodeComment } from '@hallpass/event-stream'
import { EventBlock, type Reader } from '@hallpass/event-stream/fan-out'
import { CatchUp, type CatchUpOptions } from './catch-up.ts'
import { ReplaySlots } from './replay-slots.ts'

export interface CatchUpsOptions extends Omit<CatchUpOptions, 'lastEventId' | 'onFailed' | 'onDone'> {
  /** Waiting clients that were sent nothing for this long get a comment. */
  readonly heartbeatMs: number
  readonly times: {
    /** How long a client can take to read anything, in addition to {@link MIN_BYTES_PER_MS}. */
    readonly stalledMs: number
    /** After this time, a replay ends if others wait for its slot; its client continues in its next turn. */
    readonly turnMs: number
    /** How long a client waits for its turn before it must reconnect. */
    readonly waitMs: number
  }
  /** Called if a client's stream must close; it then resumes with its last event ID. */
  readonly onEnd: (reader: Reader, how: 'upstream_failed' | 'client_too_slow' | 'replay_busy') => void
}

/** A client that needs events older than the ring. */
export interface ReplayClient {
  readonly owner: string
  readonly lastEventId: string
}

interface Replay extends ReplayClient {
  readonly catchUp: CatchUp
  /** By `performance.now`, like all times here. */
  readonly since: number
}

interface Waiting extends ReplayClient {
  readonly reader: Reader
  readonly since: number
  beatAt: number
}

/**
 * Limits concurrent replays: after a restart of the gateway, thousands of clients can need one. Each costs the upstream a
 * connection, and this process up to a ring of events.
 */
const MAX_OPEN = 32
/**
 * The slowest client that keeps its slot reads 16 KB/s, less than any mobile network in use. What is pending is written as
 * a whole and counts as read only at its end, so that a large event must not count as a stall.
 */
const MIN_BYTES_PER_MS = 16
/** How late a limit can be noticed. Small compared with the limits, and checking a thousand clients takes less than 1 ms. */
const CHECK_MS = 1_000
const HEARTBEAT = new EventBlock(encodeComment())

/**
 * Runs the private replays of a path, a few at a time. Owners share them fairly (see {@link ReplaySlots}); other clients wait
 * in their open streams. The number of those is limited by `MAX_STREAMS` and `MAX_STREAMS_PER_SUBJECT`; each is one entry.
 */
export class CatchUps {
  readonly #options: CatchUpsOptions
  readonly #slots = new ReplaySlots<Waiting>(MAX_OPEN)
  readonly #running = new Map<Reader, Replay>()
  readonly #waiting = new Map<Reader, Waiting>()
  #opened = 0
  #check: NodeJS.Timeout | undefined
  #turns: NodeJS.Immediate | undefined

  constructor(options: CatchUpsOptions) {
    this.#options = options
  }

  get figures() {
    return { opened: this.#opened, open: this.#slots.open, waiting: this.#slots.waiting }
  }

  /**
   * Opens a private replay, unless the client must wait for it.
   * @throws {HttpError} the upstream's error.
   */
  async open(client: ReplayClient): Promise<CatchUp | undefined> {
    if (!this.#slots.take(client.owner)) return undefined
    const catchUp = this.#create(client)
    try {
      await catchUp.open()
      return catchUp
    } catch (error) {
      catchUp.cancel()
      throw error
    }
  }

  start(client: ReplayClient, catchUp: CatchUp, reader: Reader): void {
    this.#running.set(reader, { ...client, catchUp, since: performance.now() })
    this.#checkRegularly()
    catchUp.start(reader)
  }

  /** Continues from the ring if it contains the ID; otherwise, the client waits for its replay. */
  wait(client: ReplayClient, reader: Reader): void {
    const now = performance.now()
    const waiting = { ...client, reader, since: now, beatAt: now }
    if (this.#readFromRing(waiting)) return
    this.#waiting.set(reader, waiting)
    this.#slots.queue(client.owner, waiting)
    this.#checkRegularly()
    this.#giveTurnsSoon()
  }

  cancel(reader: Reader): void {
    const replay = this.#running.get(reader)
    this.#running.delete(reader)
    replay?.catchUp.cancel()
    const waiting = this.#waiting.get(reader)
    if (waiting) this.#stopWaiting(waiting)
  }

  /** Called when the ring has new events: a replay can have reached it. */
  ringGrew(): void {
    for (const { catchUp } of this.#running.values()) catchUp.ringGrew()
  }

  #create({ lastEventId, owner }: ReplayClient): CatchUp {
    this.#opened += 1
    return new CatchUp({
      ...this.#options,
      lastEventId,
      onFailed: (reader) => this.#options.onEnd(reader, 'upstream_failed'),
      onDone: (how, reader) => {
        this.#slots.release(owner)
        if (reader) this.#running.delete(reader)
        if (how === 'joined') this.#serveFromRing()
        this.#giveTurnsSoon()
      },
    })
  }

  /** Not at once: when all streams close together, no replay must be opened for a client that is closed next. */
  #giveTurnsSoon() {
    this.#turns ??= setImmediate(() => this.#giveTurns())
  }

  #giveTurns() {
    this.#turns = undefined
    for (let next = this.#slots.next(); next; next = this.#slots.next()) {
      this.#waiting.delete(next.reader)
      void this.#begin(next)
    }
  }

  async #begin({ reader, ...client }: Waiting): Promise<void> {
    const catchUp = this.#create(client)
    this.#running.set(reader, { ...client, catchUp, since: performance.now() })
    try {
      await catchUp.open()
    } catch {
      catchUp.cancel()
      if (this.#running.delete(reader)) this.#options.onEnd(reader, 'upstream_failed')
      return
    }
    if (this.#running.has(reader)) catchUp.start(reader)
  }

  /** A replay can have brought what others wait for. */
  #serveFromRing() {
    for (const waiting of this.#waiting.values()) if (this.#readFromRing(waiting)) this.#stopWaiting(waiting)
  }

  #readFromRing({ reader, lastEventId }: Waiting): boolean {
    const position = this.#options.ring.positionAfter(lastEventId)
    if (position !== undefined) reader.readFrom(position)
    return position !== undefined
  }

  #stopWaiting(waiting: Waiting) {
    this.#waiting.delete(waiting.reader)
    this.#slots.leave(waiting.owner, waiting)
  }

  #checkRegularly() {
    this.#check ??= setInterval(() => this.#checkAll(), CHECK_MS).unref()
  }

  #checkAll() {
    const now = performance.now()
    for (const reader of [...this.#running.keys(), ...this.#waiting.keys()]) this.#checkProgress(reader, now)
    this.#checkTurns(now)
    for (const waiting of this.#waiting.values()) this.#checkWaiting(waiting, now)
    if (this.#running.size + this.#waiting.size > 0) return
    clearInterval(this.#check)
    this.#check = undefined
  }

  #checkProgress(reader: Reader, now: number) {
    const { times, onEnd } = this.#options
    const maxStalledMs = times.stalledMs + reader.writer.pending / MIN_BYTES_PER_MS
    if (reader.isStalled(now, maxStalledMs)) onEnd(reader, 'client_too_slow')
  }

  /** Ends the longest replays whose turn is over, at most one for each client that waits. */
  #checkTurns(now: number) {
    let ends = this.#slots.waiting
    for (const [reader, { owner, since }] of this.#running) {
      if (ends === 0 || now - since < this.#options.times.turnMs) return
      if (!this.#slots.mustYield(owner)) continue
      this.#options.onEnd(reader, 'replay_busy')
      ends -= 1
    }
  }

  #checkWaiting(waiting: Waiting, now: number) {
    const { reader, since, beatAt } = waiting
    if (now - since > this.#options.times.waitMs) return this.#options.onEnd(reader, 'replay_busy')
    if (now - beatAt < this.#options.heartbeatMs || reader.isFull) return
    waiting.beatAt = now
    reader.send(HEARTBEAT)
  }
}
