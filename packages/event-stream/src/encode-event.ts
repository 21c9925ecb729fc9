/** An event to send. Absent fields are not written. */
export interface OutgoingEvent {
  /** Any string; each of its lines becomes a `data` field. If it is absent, the receiver stores the id and reports no event. */
  readonly data?: string | undefined
  /** The event type; absent or empty means `message`. */
  readonly event?: string | undefined
  /** The ID that the receiver sends as `Last-Event-ID`; the empty string resets it. */
  readonly id?: string | undefined
  /** How long the receiver waits before it reconnects, in milliseconds, at most {@link MAX_RETRY_MS}. */
  readonly retry?: number | undefined
  /**
   * The topic of the event, in a field `topic`, for readers that know it: the standard lets all others ignore the field. It comes
   * first, so that the rest is the same event without it.
   */
  readonly topic?: string | undefined
  /** Writes the optional space after the colons of `id`, `event` and `data`. */
  readonly spaced?: boolean | undefined
}

/** One day: a client that waits longer before it reconnects is indistinguishable from a dead one. */
export const MAX_RETRY_MS = 86_400_000

type Field = 'event' | 'id' | 'retry' | 'topic'

/** A field value that the format cannot represent. Sent unchecked, it could inject another event. */
export class EventFieldError extends Error {
  readonly code = 'event_field_refused'
  readonly field: Field

  constructor(field: Field, rule: string) {
    super(`The field ${field} ${rule}.`)
    this.name = 'EventFieldError'
    this.field = field
  }
}

const LINE_BREAK = /\r\n|\r|\n/

/**
 * Encodes an event in the format of HTML §9.2.5, by default without the optional space after the colon:
 * `data:Hello, world\n\n`.
 * @throws {EventFieldError} if `event` or `topic` contains a line break, `id` contains a line break or NUL (receivers ignore such an
 * ID), or `retry` is not an integer from 0 to {@link MAX_RETRY_MS}. Events that {@link EventStreamParser} reports never
 * cause it.
 */
export function encodeEvent({ data, event, id, retry, topic, spaced }: OutgoingEvent): string {
  const field = spaced ? withSpace : withGuard
  let text = topic === undefined ? '' : topicLine(topic)
  if (retry !== undefined) text += `retry:${milliseconds(retry)}\n`
  if (id !== undefined) text += field('id', singleLine('id', id))
  if (event !== undefined && event !== '') text += field('event', singleLine('event', event))
  if (data !== undefined) for (const line of data.split(LINE_BREAK)) text += field('data', line)
  return `${text}\n`
}

/** Returns the line with which {@link encodeEvent} begins for an event with this topic. */
export const topicLine = (topic: string): string => `topic:${guardSpace(singleLine('topic', topic))}\n`

/** Encodes a comment, which receivers ignore. It keeps an idle connection open and shows that the sender is alive. */
export function encodeComment(text = ''): string {
  return `${text
    .split(LINE_BREAK)
    .map((line) => `:${line}\n`)
    .join('')}\n`
}

const withSpace = (name: string, value: string) => `${name}: ${value}\n`
const withGuard = (name: string, value: string) => `${name}:${guardSpace(value)}\n`

/** Receivers strip one space after the colon, so a value that starts with a space needs another one before it. */
const guardSpace = (value: string) => (value.startsWith(' ') ? ` ${value}` : value)

function singleLine(field: Exclude<Field, 'retry'>, value: string): string {
  if (LINE_BREAK.test(value)) throw new EventFieldError(field, 'must not contain a line break')
  if (field === 'id' && value.includes('\0')) throw new EventFieldError(field, 'must not contain NUL')
  return value
}

function milliseconds(retry: number): number {
  if (!Number.isInteger(retry) || retry < 0 || retry > MAX_RETRY_MS)
    throw new EventFieldError('retry', `must be an integer from 0 to ${MAX_RETRY_MS} (milliseconds)`)
  return retry
}
