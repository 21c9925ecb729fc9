import type { StreamEvent } from '@hallpass/event-stream'
import { EventRing, type Reader, type RingLimits } from '@hallpass/event-stream/fan-out'
import { cappedMs } from '@hallpass/untrusted/timers'
import { toClientEvent } from '../client-event.ts'
import { type Over, UpstreamConnection, type UpstreamTarget } from '../upstream-connection.ts'

/**
 * Quiet is counted in pieces, all of them on time: timers fire before sockets are read, so after a piece that was late
 * there can be events that have arrived and were not read.
 */
const QUIET_PIECES = 5

export interface CatchUpOptions {
  readonly target: UpstreamTarget
  readonly lastEventId: string
  readonly ring: EventRing
  /** How many replayed events are kept for the next client that needs them. */
  readonly limits: RingLimits
  /**
   * If neither the private nor the shared stream has received an event for this long, both have received all of them: the
   * upstream is one process, which writes to both in one turn.
   */
  readonly quietMs: number
  /** Called if the private stream fails before it reaches the ring: the client must reconnect. */
  readonly onFailed: (reader: Reader) => void
  /** Called once, when the replay has reached the ring, whose earlier events it may have added, or was cancelled. */
  readonly onDone: (how: 'joined' | 'cancelled', reader: Reader | undefined) => void
}

/**
 * Sends one client the events between its last event ID and the ring, from a private upstream stream that starts with the
 * upstream's own replay. It stops at the first event that is in both: earlier events come from the private stream, later
 * ones from the ring, so none is lost or sent twice.
 */
export class CatchUp {
  readonly #options: CatchUpOptions
  #connection: UpstreamConnection | undefined
  #reader: Reader | undefined
  /** Events that arrived before the client's stream was open. */
  #waiting: StreamEvent[] = []
  readonly #brought: EventRing
  #lastId: string
  #quietTimer: NodeJS.Timeout | undefined
  #done = false
  #over: Over | undefined

  constructor(options: CatchUpOptions) {
    this.#options = options
    this.#lastId = options.lastEventId
    this.#brought = new EventRing(options.limits)
  }

  /** @throws {HttpError} if the upstream does not open the stream. */
  async open(): Promise<void> {
    const { target, lastEventId } = this.#options
    const connection = await UpstreamConnection.open(target, lastEventId, {
      onEvent: (event) => this.#take(event),
      onOver: (how) => {
        this.#over = how
        if (this.#reader) this.#fail()
      },
    })
    if (this.#done) connection.close()
    else this.#connection = connection
  }

  /** See {@link UpstreamConnection.follows}; defined once the replay is open. */
  get follows(): string | undefined {
    return this.#connection?.follows
  }

  start(reader: Reader): void {
    this.#reader = reader
    reader.writer.onDrain = () => this.#connection?.resume()
    const waiting = this.#waiting
    this.#waiting = []
    for (const event of waiting) this.#take(event)
    this.#connection?.resume()
    if (this.#over) this.#fail()
    if (!this.#done) this.#awaitQuiet()
  }

  /** Called when the ring has new events: one of them can be the last event of the private stream. */
  ringGrew(): void {
    if (this.#done || !this.#reader) return
    const position = this.#options.ring.positionAfter(this.#lastId)
    if (position === undefined) this.#awaitQuiet()
    else this.#join(position, undefined)
  }

  cancel(): void {
    this.#finish('cancelled')
  }

  #finish(how: 'joined' | 'cancelled') {
    if (this.#done) return
    this.#done = true
    clearTimeout(this.#quietTimer)
    this.#connection?.close()
    this.#options.onDone(how, this.#reader)
  }

  #take(event: StreamEvent) {
    if (this.#done) return
    if (!this.#reader) {
      this.#waiting.push(event)
      this.#connection?.pause()
      return
    }
    const sent = toClientEvent(event)
    const { id } = sent
    this.#reader.sendEvent(sent)
    if (id !== undefined) this.#lastId = id
    const { ring } = this.#options
    const position = id ? ring.positionAfter(id) : undefined
    if (position !== undefined && ring.holds(id as string)) return this.#join(position, position - 1)
    this.#brought.append(sent)
    if (position !== undefined) return this.#join(position, position)
    if (this.#reader.isFull) this.#connection?.pause()
    this.#awaitQuiet()
  }

  /**
   * Continues from a position in the ring.
   * @param end the ring position where the private events end. If that is the start of the ring, they are added to it, so
   * that the next client with such an ID finds them there.
   */
  #join(position: number, end: number | undefined) {
    const { ring, lastEventId } = this.#options
    const brought = this.#brought
    if (end !== undefined && brought.head === 0) ring.note(lastEventId, end)
    else if (end === ring.tail) {
      const complete = ring.prepend(brought.events()) && brought.tail === 0
      if (complete) ring.note(lastEventId, ring.tail)
    }
    this.#finish('joined')
    this.#reader?.readFrom(position)
  }

  #awaitQuiet(pieces = QUIET_PIECES) {
    clearTimeout(this.#quietTimer)
    const pieceMs = this.#options.quietMs / QUIET_PIECES
    const dueAt = performance.now() + pieceMs
    this.#quietTimer = setTimeout(() => {
      const isLate = performance.now() - dueAt > pieceMs
      // A paused stream is silent, too. It can be so although its reader is no longer full: it is resumed when all is drained.
      // One within an event is not quiet: the event is still to come.
      if (isLate || this.#connection?.isPaused || this.#connection?.isInside) this.#awaitQuiet()
      else if (pieces > 1) this.#awaitQuiet(pieces - 1)
      else this.#join(this.#options.ring.head, this.#options.ring.head)
    }, cappedMs(pieceMs)).unref()
  }

  #fail() {
    if (this.#done) return
    this.cancel()
    if (this.#reader) this.#options.onFailed(this.#reader)
  }
}
