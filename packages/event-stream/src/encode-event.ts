/** What can be sent; a field that is absent is not written. */
export interface OutgoingEvent {
  /** Any text; each of its lines becomes a `data` field. Without it the receiver takes the id and reports no event. */
  readonly data?: string | undefined
  /** The type that a browser dispatches; absent and empty mean `message`. */
  readonly event?: string | undefined
  /** What the receiver sends back as `Last-Event-ID`; empty takes the last one back. */
  readonly id?: string | undefined
  /** How long the receiver waits before it connects again, in milliseconds, at most {@link MAX_RETRY_MS}. */
  readonly retry?: number | undefined
}

/** A day: a client that waits longer before it reconnects looks dead. */
export const MAX_RETRY_MS = 86_400_000

/** A field that the format cannot carry; sent unchecked, it would let one event write another. */
export class EventFieldError extends Error {
  readonly code = 'event_field_refused'
  readonly field: 'event' | 'id' | 'retry'

  constructor(field: 'event' | 'id' | 'retry', rule: string) {
    super(`The field ${field} ${rule}.`)
    this.name = 'EventFieldError'
    this.field = field
  }
}

const LINE_BREAK = /\r\n|\r|\n/

/**
 * An event as it goes over the wire (HTML §9.2.5), without the optional space behind the colon:
 * `data:Hello, world\n\n`.
 * @throws {EventFieldError} when `event` contains a line break, `id` a line break or NUL (receivers ignore such an id),
 * or `retry` is not an integer from 0 to {@link MAX_RETRY_MS}. What {@link EventStreamParser} reports never throws.
 */
export function encodeEvent({ data, event, id, retry }: OutgoingEvent): string {
  let text = ''
  if (retry !== undefined) text += `retry:${milliseconds(retry)}\n`
  if (id !== undefined) text += `id:${guardSpace(singleLine('id', id))}\n`
  if (event !== undefined && event !== '') text += `event:${guardSpace(singleLine('event', event))}\n`
  if (data !== undefined) for (const line of data.split(LINE_BREAK)) text += `data:${guardSpace(line)}\n`
  return `${text}\n`
}

/** A line that every receiver ignores; it keeps a quiet connection open and shows that the sender lives. */
export function encodeComment(text = ''): string {
  return `${text
    .split(LINE_BREAK)
    .map((line) => `:${line}\n`)
    .join('')}\n`
}

/** A receiver drops one space behind the colon, so a value that starts with one needs another before it. */
const guardSpace = (value: string) => (value.startsWith(' ') ? ` ${value}` : value)

function singleLine(field: 'event' | 'id', value: string): string {
  if (LINE_BREAK.test(value)) throw new EventFieldError(field, 'must not contain a line break')
  if (field === 'id' && value.includes('\0')) throw new EventFieldError(field, 'must not contain NUL')
  return value
}

function milliseconds(retry: number): number {
  if (!Number.isInteger(retry) || retry < 0 || retry > MAX_RETRY_MS)
    throw new EventFieldError('retry', `must be an integer of milliseconds from 0 to ${MAX_RETRY_MS}`)
  return retry
}
