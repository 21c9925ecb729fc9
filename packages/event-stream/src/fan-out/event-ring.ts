/** An event as readers get it, encoded once for all of them. */
export interface RingEvent {
  /** As clients send it back; absent or empty when no client can name this event. */
  readonly id: string | undefined
  readonly bytes: Buffer
}

export interface RingLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

/** What a key says about a reader that names it: the position to continue from, or no reliable position. */
export type Place = number | 'unknown' | 'ambiguous'

/**
 * The latest events of a stream, each with its position; the oldest are dropped first. A client that reconnects with an
 * id of the ring continues from there, and a slow one reads from here instead of having a queue of its own. A position
 * is a place between events: `tail` is before the oldest event, `head` behind the newest. Positions are never reused.
 *
 * Events are found by their keys and never by comparing ids: an id of another log, of one that was emptied, or of a
 * clock that was set back then cannot pass for a place here. A key of several events is ambiguous as long as any of
 * them is held, because it does not say which of them the client has seen.
 */
export class EventRing<E extends RingEvent = RingEvent> {
  readonly #limits: RingLimits
  readonly #keysOf: (event: E) => readonly string[]
  /** The first `#dropped` slots are empty; they are cut off in bulk. */
  #events: (E | undefined)[] = []
  #dropped = 0
  #tail = 0
  #bytes = 0
  #lastDropped: E | undefined
  /** The position behind the latest event with a key. */
  readonly #positions = new Map<string, number>()
  readonly #repeated = new Set<string>()
  /** Positions of keys whose event the ring never had. */
  readonly #notes = new Map<string, number>()

  /** @param keysOf returns by what an event can be found; by default its id. */
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

  /** Returns the newest event that is no longer held, when nothing is missing between it and the oldest one. */
  get lastDropped(): E | undefined {
    return this.#lastDropped
  }

  /** Returns the events that are held, the oldest first. */
  events(): readonly E[] {
    return this.#events.slice(this.#dropped) as E[]
  }

  /** Returns the event behind a position, `undefined` when it is not held. */
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

  /** Puts events before the oldest one, as far as there is room, and returns whether there was room for all. */
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

  /** Remembers that a client that names this key has everything before a position. */
  note(key: string, position: number): void {
    if (this.#positions.has(key)) return
    if (position >= this.#tail && this.#notes.size < this.#limits.maxEvents) this.#notes.set(key, position)
  }

  /** Drops every event; a client that has seen the newest has missed nothing. */
  clear(): void {
    while (this.size > 0) this.#drop()
  }

  /** Drops every event and every note, because events that are not here may have followed the newest. */
  forget(): void {
    this.clear()
    this.#lastDropped = undefined
    this.#notes.clear()
  }

  /** Returns where a client continues that names this key. */
  placeAfter(key: string): Place {
    if (this.#repeated.has(key)) return 'ambiguous'
    const position = this.#positions.get(key) ?? this.#notes.get(key)
    return position === undefined || position < this.#tail ? 'unknown' : position
  }

  /** Returns the position behind the event with this key; `undefined` when it is unknown or ambiguous. */
  positionAfter(key: string): number | undefined {
    const place = this.placeAfter(key)
    return typeof place === 'number' ? place : undefined
  }

  /** Returns whether the event itself is in the ring; a noted key is only a place. */
  holds(key: string): boolean {
    return (this.#positions.get(key) ?? Number.NEGATIVE_INFINITY) > this.#tail
  }

  /**
   * Returns the joined bytes of the events from a position on, as many as fit into `maxBytes` and at least one event,
   * how many they are, and the position behind them.
   * @param wants which events are read; by default all.
   */
  read(
    position: number,
    maxBytes: number,
    wants?: (event: E) => boolean,
  ): { bytes: Buffer; events: number; next: number } {
    const buffers: Buffer[] = []
    const { head } = this
    let size = 0
    let next = position
    while (next < head) {
      const event = this.at(next) as E
      if (wants === undefined || wants(event)) {
        const { bytes } = event
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
    // One pass for half a ring of events, instead of one for each.
    if (this.#dropped * 2 <= this.#events.length) return
    this.#events = this.#events.slice(this.#dropped)
    this.#dropped = 0
    for (const [key, position] of this.#notes) if (position < this.#tail) this.#notes.delete(key)
  }
}

const keysById = ({ id }: RingEvent): readonly string[] => (id ? [id] : [])
