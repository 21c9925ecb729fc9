/** An event as it was fanned out. */
export interface RingEvent {
  /** As clients send it back; absent or empty when no client can name this event. */
  readonly id: string | undefined
  readonly bytes: Buffer
}

export interface RingLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

/**
 * The recent events of one path, each with its position, the oldest forgotten first. A client that comes back with an
 * id of the ring goes on from there, and one that reads slowly reads from here instead of having a queue of its own.
 * A position is a place between events: `tail` is before the oldest event, `head` behind the newest.
 */
export class EventRing {
  readonly #limits: RingLimits
  #events: RingEvent[] = []
  #tail = 0
  #bytes = 0
  /** Behind the latest event with that id. */
  readonly #positions = new Map<string, number>()
  /** Ids of several events: which of them a client has seen, its id does not say, so they are no places. */
  readonly #repeated = new Set<string>()
  /** Positions of ids whose event the ring never had. */
  readonly #notes = new Map<string, number>()

  constructor(limits: RingLimits) {
    this.#limits = limits
  }

  get tail(): number {
    return this.#tail
  }

  get head(): number {
    return this.#tail + this.#events.length
  }

  get events(): readonly RingEvent[] {
    return this.#events
  }

  append(event: RingEvent): void {
    this.#events.push(event)
    this.#bytes += event.bytes.length
    if (event.id) {
      if (this.#positions.has(event.id) || this.#notes.has(event.id)) this.#repeated.add(event.id)
      this.#positions.set(event.id, this.head)
    }
    this.#forgetOldest()
  }

  /** Puts events before the oldest one, as far as there is room, and says whether there was room for all. */
  prepend(events: readonly RingEvent[]): boolean {
    let first = events.length
    let bytes = this.#bytes
    while (first > 0 && this.#events.length + events.length - first < this.#limits.maxEvents) {
      bytes += (events[first - 1] as RingEvent).bytes.length
      if (bytes > this.#limits.maxBytes) break
      first -= 1
    }
    const kept = events.slice(first)
    this.#tail -= kept.length
    this.#events = [...kept, ...this.#events]
    kept.forEach((event, index) => {
      this.#bytes += event.bytes.length
      if (!event.id) return
      if (this.#positions.has(event.id)) this.#repeated.add(event.id)
      else this.#positions.set(event.id, this.#tail + index + 1)
    })
    return first === 0
  }

  /** Remembers that a client with this id has everything before a position. */
  note(id: string, position: number): void {
    if (this.#positions.has(id)) return
    if (position >= this.#tail && this.#notes.size < this.#limits.maxEvents) this.#notes.set(id, position)
  }

  /** The position behind the event with that id, or `undefined` when the ring does not know it (any more) or it came more than once. */
  positionAfter(id: string): number | undefined {
    if (this.#repeated.has(id)) return undefined
    const position = this.#positions.get(id) ?? this.#notes.get(id)
    return position === undefined || position < this.#tail ? undefined : position
  }

  /** Whether the event itself is in the ring; a noted id is only a place. */
  holds(id: string): boolean {
    return (this.#positions.get(id) ?? Number.NEGATIVE_INFINITY) > this.#tail
  }

  /** The bytes of the events from a position on, joined, as many as fit into `maxBytes` and at least one event. */
  read(position: number, maxBytes: number): { bytes: Buffer; next: number } {
    const buffers: Buffer[] = []
    let size = 0
    let next = position
    while (next < this.head) {
      const { bytes } = this.#events[next - this.#tail] as RingEvent
      if (size > 0 && size + bytes.length > maxBytes) break
      buffers.push(bytes)
      size += bytes.length
      next += 1
    }
    return { bytes: buffers.length === 1 ? (buffers[0] as Buffer) : Buffer.concat(buffers), next }
  }

  /** Forgets an eighth more than it must, so that the array is not moved at every event. */
  #forgetOldest() {
    const { maxEvents, maxBytes } = this.#limits
    if (this.#events.length <= maxEvents && this.#bytes <= maxBytes) return
    let count = 0
    while (
      this.#events.length - count > 1 &&
      (this.#events.length - count > maxEvents - maxEvents / 8 || this.#bytes > maxBytes)
    ) {
      const { id, bytes } = this.#events[count] as RingEvent
      count += 1
      this.#bytes -= bytes.length
      if (id && this.#positions.get(id) === this.#tail + count) {
        this.#positions.delete(id)
        this.#repeated.delete(id)
      }
    }
    this.#events = this.#events.slice(count)
    this.#tail += count
    for (const [id, position] of this.#notes) if (position < this.#tail) this.#notes.delete(id)
  }
}
