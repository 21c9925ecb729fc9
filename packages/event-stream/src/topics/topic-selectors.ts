import { parseTopicSelector, type TopicSelector } from './topic-selector.ts'

/**
 * The most selectors of a token or a stream. A hundred exact topics of 40 bytes are a token of about 6 KB, which is most of what
 * a request's headers may have; whoever reads more topics than that needs templates.
 */
export const MAX_SELECTORS = 100

/** A set of topic selectors: what a token allows, or what a stream receives. */
export class TopicSelectors {
  /** As they were written, without repetitions. */
  readonly texts: readonly string[]
  /** The topics that are selected by their own names. */
  readonly exact: ReadonlySet<string>
  /** The selectors that must be evaluated for each topic. */
  readonly #others: readonly TopicSelector[]

  constructor(selectors: Iterable<TopicSelector>) {
    const all = [...new Map(Array.from(selectors, (selector) => [selector.text, selector])).values()]
    this.texts = all.map(({ text }) => text)
    this.exact = new Set(all.filter(({ kind }) => kind === 'exact').map(({ text }) => text))
    this.#others = all.filter(({ kind }) => kind !== 'exact')
  }

  /** Whether it has only exact topics, so that an event's topic can be looked up instead of evaluated. */
  get isExact(): boolean {
    return this.#others.length === 0
  }

  /** Whether it selects all topics. */
  get isEvery(): boolean {
    return this.#others.some(({ kind }) => kind === 'all')
  }

  covers(topic: string): boolean {
    return this.exact.has(topic) || this.#others.some((selector) => selector.covers(topic))
  }

  /** Whether one of the selectors selects every topic that another selector selects. */
  coversSelector(selector: TopicSelector): boolean {
    if (selector.kind === 'exact') return this.covers(selector.text)
    return this.#others.some((own) => own.coversSelector(selector))
  }
}

/**
 * Parses selectors.
 * @throws {TopicSelectorError} for the first invalid one
 * @throws {RangeError} if there are more than {@link MAX_SELECTORS}
 */
export function parseTopicSelectors(texts: readonly string[]): TopicSelectors {
  if (texts.length > MAX_SELECTORS)
    throw new RangeError(`There are ${texts.length} topic selectors; at most ${MAX_SELECTORS} are allowed.`)
  return new TopicSelectors(texts.map(parseTopicSelector))
}
