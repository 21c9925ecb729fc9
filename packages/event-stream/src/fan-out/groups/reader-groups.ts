import type { RingEvent } from '../event-ring.ts'
import type { EventSelection } from './event-selection.ts'
import { ReaderGroup, type ReaderGroupOptions } from './reader-group.ts'

/** The groups of a fan-out. An event is looked up by its topic; only selections that are not topics are evaluated. */
export class ReaderGroups<E extends RingEvent> {
  readonly #options: Omit<ReaderGroupOptions<E>, 'selection'>
  /** By the key of the selection; `undefined` for readers of every event. */
  readonly #byKey = new Map<string | undefined, ReaderGroup<E>>()
  /** The groups without topics. */
  readonly #asked = new Set<ReaderGroup<E>>()
  readonly #byTopic = new Map<string | undefined, Set<ReaderGroup<E>>>()

  constructor(options: Omit<ReaderGroupOptions<E>, 'selection'>) {
    this.#options = options
  }

  values(): Iterable<ReaderGroup<E>> {
    return this.#byKey.values()
  }

  /** Returns the group of a selection for one more reader. */
  join(selection: EventSelection<E> | undefined): ReaderGroup<E> {
    const group = this.#byKey.get(selection?.key) ?? this.#add(selection)
    group.size += 1
    return group
  }

  /** To be called when a reader has left its group. */
  leave(group: ReaderGroup<E>): void {
    group.size -= 1
    if (group.size > 0) return
    const { selection } = group
    this.#byKey.delete(selection?.key)
    this.#asked.delete(group)
    for (const topic of topicsOf(selection)) {
      const groups = this.#byTopic.get(topic)
      groups?.delete(group)
      if (groups?.size === 0) this.#byTopic.delete(topic)
    }
  }

  /** Gives the newest event of the ring to the groups that select it. */
  take(event: E): void {
    for (const group of this.#asked) group.take(event)
    const groups = this.#byTopic.get(event.topic)
    if (groups) for (const group of groups) group.take(event)
  }

  #add(selection: EventSelection<E> | undefined): ReaderGroup<E> {
    const group = new ReaderGroup({ ...this.#options, selection })
    this.#byKey.set(selection?.key, group)
    if (selection === undefined || 'wants' in selection) this.#asked.add(group)
    for (const topic of topicsOf(selection)) {
      const groups = this.#byTopic.get(topic)
      if (groups) groups.add(group)
      else this.#byTopic.set(topic, new Set([group]))
    }
    return group
  }
}

const topicsOf = <E extends RingEvent>(
  selection: EventSelection<E> | undefined,
): Iterable<string | undefined> => (selection !== undefined && 'topics' in selection ? selection.topics : [])
