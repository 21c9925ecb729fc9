import { MAX_EVENT_ID_BYTES } from '../last-event-id.ts'

/** What an SSE server accepts as a topic: a longer selector without expressions could not select any. */
export const MAX_SELECTOR_BYTES = MAX_EVENT_ID_BYTES

/** The selector of all topics. */
const EVERY_TOPIC = '*'

/** A string that is not a topic selector; the message quotes it and names the rule. */
export class TopicSelectorError extends Error {
  readonly code = 'invalid_topic_selector'

  constructor(text: string, rule: string) {
    const shown = text.length > MAX_SELECTOR_BYTES ? `${text.slice(0, MAX_SELECTOR_BYTES)}…` : text
    super(`${JSON.stringify(shown)} is not a topic selector: ${rule}.`)
    this.name = 'TopicSelectorError'
  }
}

/** Selects topics: one, those of a URI Template, or all. */
export interface TopicSelector {
  /** The selector as it was written. */
  readonly text: string
  /** `exact` selects only the topic that is its text. */
  readonly kind: 'exact' | 'template' | 'all'
  /** Whether it selects a topic. Takes linear time. */
  covers(topic: string): boolean
  /** Whether it selects every topic that the other one selects. */
  coversSelector(other: TopicSelector): boolean
}

/** One part of a template between slashes: literal text or, with `suffix`, an expression between two literals. */
interface Segment {
  readonly prefix: string
  readonly suffix: string | undefined
}

interface ParsedSelector extends TopicSelector {
  readonly segments: readonly Segment[]
}

/**
 * Parses a topic selector: `*` for all topics, a URI Template such as `orders/{id}` (RFC 6570, level 1), or a topic. An
 * expression stands for one or more characters other than `/`, and a segment has at most one, so that matching needs no
 * backtracking whoever writes the selector. Selectors are compared with topics as they are, without normalization.
 * @throws {TopicSelectorError}
 */
export function parseTopicSelector(text: string): TopicSelector {
  if (text === '') throw new TopicSelectorError(text, 'it is empty')
  if (text === EVERY_TOPIC) return ALL
  if (text.length > MAX_SELECTOR_BYTES || new TextEncoder().encode(text).length > MAX_SELECTOR_BYTES)
    throw new TopicSelectorError(text, `it has more than ${MAX_SELECTOR_BYTES} bytes`)
  if (/\p{Cc}|\p{Cs}/u.test(text))
    throw new TopicSelectorError(text, 'it contains a control character or a lone surrogate')
  if (text.includes(EVERY_TOPIC))
    throw new TopicSelectorError(text, '* selects all topics only on its own; one segment is {name}')
  const segments = text.split('/').map((segment) => segmentOf(segment, text))
  return selectorOf(
    text,
    segments.some(({ suffix }) => suffix !== undefined) ? 'template' : 'exact',
    segments,
  )
}

const ALL: TopicSelector = {
  text: EVERY_TOPIC,
  kind: 'all',
  covers: () => true,
  coversSelector: () => true,
}

function segmentOf(segment: string, text: string): Segment {
  const [prefix, expression, suffix, ...more] = segment.split(/\{(\w+)\}/)
  if (more.length > 0) throw new TopicSelectorError(text, 'a segment has at most one expression')
  if (/[{}]/.test(`${prefix}${suffix}`))
    throw new TopicSelectorError(text, 'an expression is a name in braces, such as {id}, within one segment')
  return { prefix: prefix as string, suffix: expression === undefined ? undefined : suffix }
}

function selectorOf(text: string, kind: 'exact' | 'template', segments: readonly Segment[]): ParsedSelector {
  // Most topics differ from a template here already, which costs a tenth of the rest.
  const start = text.slice(0, text.indexOf('{'))
  return {
    text,
    kind,
    segments,
    covers: (topic) =>
      kind === 'exact' ? topic === text : topic.startsWith(start) && matches(segments, topic),
    coversSelector: (other) =>
      other.kind === 'exact'
        ? kind === 'exact'
          ? text === other.text
          : matches(segments, other.text)
        : kind === 'template' &&
          other.kind === 'template' &&
          includes(segments, (other as ParsedSelector).segments),
  }
}

function matches(segments: readonly Segment[], topic: string): boolean {
  const parts = topic.split('/')
  return (
    parts.length === segments.length &&
    segments.every((segment, index) => fits(segment, parts[index] as string))
  )
}

const fits = ({ prefix, suffix }: Segment, part: string): boolean =>
  suffix === undefined
    ? part === prefix
    : part.length > prefix.length + suffix.length && part.startsWith(prefix) && part.endsWith(suffix)

/** Whether each string that the inner segments match is matched by the outer ones. */
const includes = (outer: readonly Segment[], inner: readonly Segment[]): boolean =>
  outer.length === inner.length &&
  outer.every((segment, index) => {
    const { prefix, suffix } = inner[index] as Segment
    if (suffix === undefined) return fits(segment, prefix)
    // What the inner expression stands for is arbitrary, so the outer literals must be within the inner ones.
    return (
      segment.suffix !== undefined && prefix.startsWith(segment.prefix) && suffix.endsWith(segment.suffix)
    )
  })
