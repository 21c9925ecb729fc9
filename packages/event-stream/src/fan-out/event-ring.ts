/** An event as readers receive it, encoded once for all of them. */
export interface RingEvent {
  /** The ID as clients send it in `Last-Event-ID`; absent or empty if no client can resume from this event. */
  readonly id: string | undefined
  /** The topic of the event; absent if it has none, or if the stream has no topics. */
  readonly topic?: string | undefined
  readonly bytes: Buffer
}

export interface RingLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

interface RingSelection<E> {
  readonly wants?: ((event: E) => boolean) | undefined
  readonly bytesOf?: ((event: E) => Buffer) | undefined
}

/** Where a reader with a given key continues: a position, or the reason why there is no reliable one. */
export type Place = number | 'unknown' | 'ambiguous'

/**
 * A ring buffer of a stream's latest events. A client that reconnects with an ID in the ring continues after that event,
 * and a slow client reads from the ring instead of a queue of its own. A position is a point between events: `tail` is
 * before the oldest event, `head` is after the newest. Positions are never reused.
 *
 * Events are found by exact keys, never by comparing the order of IDs: an ID of another log, of a log that was emptied,
 * or from before the clock was set back must not be mistaken for a position in this one. A key of several events is
 * ambiguous while any of them is in the ring, because it does not identify which one the client has seen.
 */
export class EventRing<E extends RingEvent = RingEvent> {
  readonly #limits: RingLimits
  readonly #keysOf: (event: E) => readonly string[]
  /** The first `#dropped` slots are empty; they are removed in bulk. */
  #events: (E | undefined)[] = []
  #dropped = 0
  #tail = 0
  #bytes = 0
  #lastDropped: E | undefined
  /** The position after the latest event with each key. */
  readonly #positions = new Map<string, number>()
  readonly #repeated = new Set<string>()
  /** Positions of keys whose event was never in the ring. */
  readonly #notes = new Map<string, number>()

  /** @param keysOf returns the keys under which an event is found; by default its ID. */
  constructor(limits: RingLimits, keysOf: (event: E) => readonly string[] = keysById) {
    this.#limits = limits
    this.#keysOf = keysOf
  }

  get tail(): number {
    return this.#tail
  }

  get head(): number {
    return this.#tail + this.size
  }

  get size(): number {
    return this.#events.length - this.#dropped
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Returns the most recently dropped event, if no event is missing between it and the oldest one. */
  get lastDropped(): E | undefined {
    return this.#lastDropped
  }

  /** Returns the events in the ring, oldest first. */
  events(): readonly E[] {
    return this.#events.slice(this.#dropped) as E[]
  }

  /** Returns the event after a position, or `undefined` if it is not in the ring. */
  at(position: number): E | undefined {
    return position < this.#tail ? undefined : this.#events[this.#dropped + position - this.#tail]
  }

  append(event: E): void {
    this.#events.push(event)
    this.#bytes += event.bytes.length
    for (const key of this.#keysOf(event)) {
      if (this.#positions.has(key) || (this.#notes.get(key) ?? Number.NEGATIVE_INFINITY) >= this.#tail)
        this.#repeated.add(key)
      this.#positions.set(key, this.head)
    }
    const { maxEvents, maxBytes } = this.#limits
    while (this.size > maxEvents || (this.#bytes > maxBytes && this.size > 1)) this.#drop()
  }

  /** Inserts events before the oldest one as far as they fit, and returns whether all of them did. */
  prepend(events: readonly E[]): boolean {
    let first = events.length
    let bytes = this.#bytes
    while (first > 0 && this.size + events.length - first < this.#limits.maxEvents) {
      bytes += (events[first - 1] as E).bytes.length
      if (bytes > this.#limits.maxBytes) break
      first -= 1
    }
    const kept = events.slice(first)
    this.#tail -= kept.length
    this.#events = [...kept, ...this.#events.slice(this.#dropped)]
    this.#dropped = 0
    this.#lastDropped = events[first - 1]
    kept.forEach((event, index) => {
      this.#bytes += event.bytes.length
      for (const key of this.#keysOf(event))
        if (this.#positions.has(key)) this.#repeated.add(key)
        else this.#positions.set(key, this.#tail + index + 1)
    })
    return first === 0
  }

  /** Remembers that a client with this key has every event before a position. */
  note(key: string, position: number): void {
    if (this.#positions.has(key)) return
    if (position >= this.#tail && this.#notes.size < this.#limits.maxEvents) this.#notes.set(key, position)
  }

  /** Drops all events. A client that has seen the newest one has missed none. */
  clear(): void {
    while (this.size > 0) this.#drop()
  }

  /** Drops all events and notes; to be called if events after the newest one may have been missed. */
  forget(): void {
    this.clear()
    this.#lastDropped = undefined
    this.#notes.clear()
  }

  /** Returns where a client with this key continues. */
  placeAfter(key: string): Place {
    if (this.#repeated.has(key)) return 'ambiguous'
    const position = this.#positions.get(key) ?? this.#notes.get(key)
    return position === undefined || position < this.#tail ? 'unknown' : position
  }

  /** Returns the position after the event with this key, or `undefined` if the key is unknown or ambiguous. */
  positionAfter(key: string): number | undefined {
    const place = this.placeAfter(key)
    return typeof place === 'number' ? place : undefined
  }

  /** Returns whether an event with this key is in the ring. A noted key is only a position. */
  holds(key: string): boolean {
    return (this.#positions.get(key) ?? Number.NEGATIVE_INFINITY) > this.#tail
  }

  /**
   * Returns the joined bytes of the events from a position on (as many as fit into `maxBytes`, at least one), the number
   * of events, and the position after them.
   * @param selection the events to read, by default all, and what is read of them, by default their bytes
   */
  read(
    position: number,
    maxBytes: number,
    { wants, bytesOf }: RingSelection<E> = {},
  ): { bytes: Buffer; events: number; next: number } {
    const buffers: Buffer[] = []
    const { head } = this
    let size = 0
    let next = position
    while (next < head) {
      const event = this.at(next) as E
      if (wants === undefined || wants(event)) {
        const bytes = bytesOf === undefined ? event.bytes : bytesOf(event)
        if (size > 0 && size + bytes.length > maxBytes) break
        buffers.push(bytes)
        size += bytes.length
      }
      next += 1
    }
    const bytes = buffers.length === 1 ? (buffers[0] as Buffer) : Buffer.concat(buffers)
    return { bytes, events: buffers.length, next }
  }

  #drop() {
    const event = this.#events[this.#dropped] as E
    this.#events[this.#dropped] = undefined
    this.#dropped += 1
    this.#tail += 1
    this.#bytes -= event.bytes.length
    this.#lastDropped = event
    for (const key of this.#keysOf(event)) {
      if (this.#positions.get(key) !== this.#tail) continue
      this.#positions.delete(key)
      this.#repeated.delete(key)
    }
    // One pass per half a ring of events, instead of one per event.
    if (this.#dropped * 2 <= this.#events.length) return
    this.#events = this.#events.slice(this.#dropped)
    this.#dropped = 0
    for (const [key, position] of this.#notes) if (position < this.#tail) this.#notes.delete(key)
  }
}

const keysById = ({ id }: RingEvent): readonly string[] => (id ? [id] : [])
