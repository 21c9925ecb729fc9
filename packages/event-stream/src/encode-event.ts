/** What can be sent; a field that is absent is not written. */
export interface OutgoingEvent {
  /** Any text; each of its lines becomes a `data` field. Without it the receiver takes the id and reports no event. */
  readonly data?: string | undefined
  /** The type that a browser dispatches; absent and empty mean `message`. */
  readonly event?: string | undefined
  /** What the receiver sends back as `Last-Event-ID`; empty takes the last one back. */
  readonly id?: string | undefined
  /** How long the receiver waits before it connects again, in milliseconds. */
  readonly retry?: number | undefined
}

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

const LINE_END = /\r\n|\r|\n/

/**
 * An event as it goes over the wire (HTML §9.2.5), without the optional space behind the colon:
 * `data:Hello, world\n\n`.
 * @throws {EventFieldError} when `event` or `id` has a line end or NUL, or `retry` is not a whole number.
 */
export function encodeEvent({ data, event, id, retry }: OutgoingEvent): string {
  let text = ''
  if (retry !== undefined) text += `retry:${wholeMilliseconds(retry)}\n`
  if (id !== undefined) text += `id:${guardSpace(singleLine('id', id))}\n`
  if (event !== undefined && event !== '') text += `event:${guardSpace(singleLine('event', event))}\n`
  if (data !== undefined) for (const line of data.split(LINE_END)) text += `data:${guardSpace(line)}\n`
  return `${text}\n`
}

/** A line that every receiver ignores; it keeps a quiet connection open and shows that the sender lives. */
export function encodeComment(text = ''): string {
  return `${text
    .split(LINE_END)
    .map((line) => `:${line}\n`)
    .join('')}\n`
}

/** A receiver drops one space behind the colon, so a value that starts with one needs another before it. */
const guardSpace = (value: string) => (value.startsWith(' ') ? ` ${value}` : value)

function singleLine(field: 'event' | 'id', value: string): string {
  if (/[\r\n\0]/.test(value)) throw new EventFieldError(field, 'must not have a line end or NUL')
  return value
}

function wholeMilliseconds(retry: number): number {
  if (!Number.isSafeInteger(retry) || retry < 0)
    throw new EventFieldError('retry', 'must be a whole number of milliseconds')
  return retry
}
