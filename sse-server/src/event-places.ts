/** The topics of a reader: `*` among them for every event, `undefined` for the events without a topic. */
export type Topics = ReadonlySet<string> | undefined

/** What an id says of a place in the log: behind which event, or nothing that a reader could rely on. */
export type Place = number | 'unknown' | 'ambiguous'

/** The topic by which readers ask for all of them; no event has it. */
export const EVERY_TOPIC = '*'

/**
 * The ids of the events that are held. The log's own positions are unique. A publisher's id is only looked up among the
 * events that its reader gets, because publishers of different topics may count alike; where it came more than once
 * it says nothing, because it does not tell which of its events the reader has seen.
 */
export class EventPlaces {
  /** The index of the latest event with a key. */
  readonly #latest = new Map<string, number>()
  readonly #repeated = new Set<string>()

  /** @param topic of the event; with `chosen` false the id is the log's own. */
  add(index: number, id: string, topic: string | undefined, chosen: boolean): void {
    for (const key of keysOf(id, topic, chosen)) {
      if (this.#latest.has(key)) this.#repeated.add(key)
      this.#latest.set(key, index)
    }
  }

  /** Forgets the oldest event. An id stays ambiguous as long as any of its events is held. */
  drop(index: number, id: string, topic: string | undefined, chosen: boolean): void {
    for (const key of keysOf(id, topic, chosen)) {
      if (this.#latest.get(key) !== index) continue
      this.#latest.delete(key)
      this.#repeated.delete(key)
    }
  }

  find(id: string, topics: Topics): Place {
    const position = this.#latest.get(id)
    if (position !== undefined) return position
    const keys = (topics?.has(EVERY_TOPIC) ? [EVERY_TOPIC] : [...(topics ?? [undefined])])
      .map((topic) => keyOf(id, topic))
      .filter((key) => this.#latest.has(key))
    const [key] = keys
    if (key === undefined) return 'unknown'
    return keys.length > 1 || this.#repeated.has(key) ? 'ambiguous' : (this.#latest.get(key) as number)
  }
}

/** Neither ids nor topics contain a line break, so no two of these are alike, and none is a position. */
const keyOf = (id: string, topic: string | undefined) => `${topic ?? ''}\n${id}`

const keysOf = (id: string, topic: string | undefined, chosen: boolean) =>
  chosen ? [keyOf(id, topic), keyOf(id, EVERY_TOPIC)] : [id]
