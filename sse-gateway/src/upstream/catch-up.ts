import type { StreamEvent } from '@hallpass/event-stream'
import { EventBlock, EventRing, type Reader, type RingLimits } from '@hallpass/event-stream/fan-out'
import { cappedMs } from '@hallpass/untrusted/timers'
import { toClientEvent } from './client-event.ts'
import { UpstreamConnection, type UpstreamTarget } from './upstream-connection.ts'

export interface CatchUpOptions {
  readonly target: UpstreamTarget
  readonly lastEventId: string
  readonly ring: EventRing
  /** What came privately is kept up to here, for the next client that needs it. */
  readonly limits: RingLimits
  /**
   * When neither the private nor the shared stream has brought anything for so long, both have brought everything:
   * they come from one process, which writes to both in one turn.
   */
  readonly quietMs: number
  /** The private stream broke before it met the ring: the client has to come back. */
  readonly onFailed: (reader: Reader) => void
  /** It has met the ring, or was given up. */
  readonly onDone: (reader: Reader | undefined) => void
}

/**
 * Brings one client the events between the id that it came back with and the ring, by a private upstream stream that
 * the upstream's own replay begins. It ends where both hold the same event: what is before came privately, what is
 * behind comes from the ring, so nothing is lost and nothing comes twice.
 */
export class CatchUp {
  readonly #options: CatchUpOptions
  #connection: UpstreamConnection | undefined
  #reader: Reader | undefined
  /** What arrived before the client could be written to. */
  #waiting: StreamEvent[] = []
  readonly #brought: EventRing
  #lastId: string
  #quietTimer: NodeJS.Timeout | undefined
  #done = false
  #over: 'ended' | 'failed' | undefined

  constructor(options: CatchUpOptions) {
    this.#options = options
    this.#lastId = options.lastEventId
    this.#brought = new EventRing(options.limits)
  }

  /** @throws {HttpError} when the upstream does not give the stream. */
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

  /** The ring has got new events: perhaps one of them is the last that came privately. */
  ringGrew(): void {
    if (this.#done || !this.#reader) return
    const position = this.#options.ring.positionAfter(this.#lastId)
    if (position === undefined) this.#awaitQuiet()
    else this.#join(position, undefined)
  }

  cancel(): void {
    if (this.#done) return
    this.#done = true
    clearTimeout(this.#quietTimer)
    this.#connection?.close()
    this.#options.onDone(this.#reader)
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
    this.#reader.send(new EventBlock(sent.bytes), 1)
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
   * Goes on from a position of the ring.
   * @param end where in the ring that ends which came privately; when that is where the ring begins, the ring takes it,
   * so that the next client with such an id finds it there.
   */
  #join(position: number, end: number | undefined) {
    const { ring, lastEventId } = this.#options
    const brought = this.#brought
    if (end !== undefined && brought.head === 0) ring.note(lastEventId, end)
    else if (end === ring.tail) {
      const complete = ring.prepend(brought.events()) && brought.tail === 0
      if (complete) ring.note(lastEventId, ring.tail)
    }
    this.cancel()
    this.#reader?.readFrom(position)
  }

  #awaitQuiet() {
    clearTimeout(this.#quietTimer)
    this.#quietTimer = setTimeout(() => {
      if (this.#reader?.isFull) return this.#awaitQuiet()
      this.#join(this.#options.ring.head, this.#options.ring.head)
    }, cappedMs(this.#options.quietMs)).unref()
  }

  #fail() {
    if (this.#done) return
    this.cancel()
    if (this.#reader) this.#options.onFailed(this.#reader)
  }
}
