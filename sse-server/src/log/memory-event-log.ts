import { encodeEvent } from '@hallpass/event-stream'
import type { RingLimits } from '@hallpass/event-stream/fan-out'
import type { Clock } from '@hallpass/service-kit'
import type { Publication } from '../publication/index.ts'
import { type EventLog, IdConflictError } from './event-log.ts'
import { keyOf, type LoggedEvent, LogRing } from './log-ring.ts'

/** An event log of one server, kept for the lifetime of the process. Clients that reconnect after a restart get a gap. */
export class MemoryEventLog implements EventLog {
  readonly ring: LogRing
  readonly loaded = true
  readonly #clock: Clock
  readonly #listeners: ((event: LoggedEvent) => void)[] = []
  #time: number
  #count = 0

  constructor(clock: Clock, limits: RingLimits) {
    this.#clock = clock
    this.#time = clock()
    this.ring = new LogRing(limits)
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async append(publications: readonly Publication[]): Promise<string[]> {
    const contents = new Map<string, string>()
    publications.forEach((publication, index) => {
      const { id, topic } = publication
      if (id === undefined) return
      const content = encodeEvent(publication)
      const stored = contents.get(keyOf(id, topic)) ?? this.ring.published(id, topic)?.withTopic.toString()
      if (stored !== undefined && stored !== content) throw new IdConflictError(publications, index)
      contents.set(keyOf(id, topic), content)
    })
    return publications.map((publication) => this.#store(publication))
  }

  #store(publication: Publication): string {
    const { id, topic } = publication
    if (id !== undefined && this.ring.published(id, topic)) return id
    const event = this.ring.add(this.#nextPosition(), publication)
    for (const listener of this.#listeners) listener(event)
    return event.id
  }

  async clear(): Promise<void> {
    this.ring.clear()
  }

  onEvent(listener: (event: LoggedEvent) => void): void {
    this.#listeners.push(listener)
  }

  /** Never calls the listener: an in-memory log loses no events. */
  onGap(): void {}

  check(): void {}

  /** Returns an increasing position, even if the system clock is set back. */
  #nextPosition(): string {
    const now = this.#clock()
    this.#count = now > this.#time ? 0 : this.#count + 1
    this.#time = Math.max(now, this.#time)
    return `${this.#time}-${this.#count}`
  }
}
