import { isControlEvent, MAX_EVENT_ID_BYTES, MAX_RETRY_MS } from '@hallpass/event-stream'
import { JsonNumber, toNumber, writeJson } from '@hallpass/untrusted/json'
import { escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import { EVERY_TOPIC } from './topics.ts'

/** What a publisher asks to be streamed. */
export interface Publication {
  readonly data?: string
  readonly event?: string
  readonly id?: string
  readonly retry?: number
  readonly topic?: string
}

/** A publication that cannot be streamed, with the member that is wrong. */
export class PublicationError extends Error {
  readonly code: 'empty_publication' | 'bad_member' | 'reserved_id' | 'reserved_event'

  constructor(code: PublicationError['code'], message: string) {
    super(message)
    this.name = 'PublicationError'
    this.code = code
  }
}

/** It has no UTF-8: it would arrive as another character. In an object it stays the escape that it was. */
const LONE_SURROGATE = /\p{Cs}/u

/** The form of a position in the log: `milliseconds-counter`. It belongs to the log; an id of a publisher is refused in it. */
const POSITION = /^\d+-\d+$/

/** The type of the event; the first that is there counts. */
const TYPE_MEMBERS = ['name', 'event', 'type'] as const
/** Everything that a publication can have. */
export const PUBLICATION_MEMBERS: readonly string[] = ['data', ...TYPE_MEMBERS, 'id', 'retry', 'topic']

/**
 * The publication in a JSON object: `data` as text, anything else as compact JSON with its numbers as they were written; the event's type as `name`, `event` or
 * `type`; `id`, `retry` and `topic`. Members that are not known are ignored.
 * @throws {PublicationError} when a member has a value that the stream cannot carry or a client could not resume from, when
 * it is reserved, or none of them is there.
 */
export function toPublication(object: Readonly<Record<string, unknown>>): Publication {
  const { data, id, retry, topic } = object
  const member = TYPE_MEMBERS.find((one) => (object[one] ?? undefined) !== undefined) ?? 'event'
  const type = object[member] ?? undefined
  const publication: Publication = {
    ...(data === undefined ? {} : { data: typeof data === 'string' ? text(data) : writeJson(data) }),
    ...(type === undefined || type === '' ? {} : { event: eventType(member, type) }),
    ...(id === undefined ? {} : { id: eventId(id) }),
    ...(retry === undefined ? {} : { retry: milliseconds(retry) }),
    ...(topic === undefined ? {} : { topic: topicName(topic) }),
  }
  const { topic: _topic, ...streamed } = publication
  if (Object.keys(streamed).length === 0)
    throw new PublicationError('empty_publication', 'A publication needs data, event, id or retry.')
  // A type without data is meant to be seen; without a data field no client would report it.
  return publication.event === undefined ? publication : { data: '', ...publication }
}

/** A bad value as JSON, short, and with nothing in it that a terminal obeys: publishers are people with `nc`, too. */
function shown(value: unknown): string {
  const json = writeJson(value) ?? 'undefined'
  return escapeJsonForTerminal(
    json.length > MAX_EVENT_ID_BYTES ? `${json.slice(0, MAX_EVENT_ID_BYTES)}…` : json,
  )
}

function text(data: string): string {
  if (LONE_SURROGATE.test(data))
    throw new PublicationError(
      'bad_member',
      'data has a lone surrogate, which has no UTF-8. Send whole characters.',
    )
  return data
}

function name(member: string, value: unknown): string {
  if (
    typeof value !== 'string' ||
    /[\r\n\0]/.test(value) ||
    LONE_SURROGATE.test(value) ||
    Buffer.byteLength(value) > MAX_EVENT_ID_BYTES
  )
    throw new PublicationError(
      'bad_member',
      `${member} ${shown(value)} is not valid: it must be a string of at most ${MAX_EVENT_ID_BYTES} bytes without line breaks, NUL or lone surrogates.`,
    )
  return value
}

function eventType(member: string, value: unknown): string {
  const type = name(member, value)
  if (isControlEvent(type))
    throw new PublicationError(
      'reserved_event',
      `${member} ${shown(type)} is reserved: by it a gateway or this server talks to clients. Use another name.`,
    )
  return type
}

/** An id comes back in a header, which carries no control characters and loses its outer white space on the way. */
function eventId(value: unknown): string {
  const id = name('id', typeof value === 'number' || value instanceof JsonNumber ? String(value) : value)
  if (id === '' || /\p{Cc}/u.test(id) || id !== id.trim())
    throw new PublicationError(
      'bad_member',
      `id ${shown(id)} is not valid: clients could not resume from it. It must not be empty, nor contain control characters or white space at its ends.`,
    )
  if (POSITION.test(id))
    throw new PublicationError(
      'reserved_id',
      `id ${shown(id)} is reserved: number-number is the form of this log's own positions. Add a prefix, or send no id.`,
    )
  return id
}

function milliseconds(given: unknown): number {
  const value = toNumber(given)
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > MAX_RETRY_MS)
    throw new PublicationError(
      'bad_member',
      `retry ${shown(given)} is not valid: it must be an integer of milliseconds from 0 to ${MAX_RETRY_MS}.`,
    )
  return value as number
}

function topicName(value: unknown): string {
  const topic = name('topic', value)
  if (topic === '' || topic === EVERY_TOPIC)
    throw new PublicationError(
      'bad_member',
      `topic ${shown(topic)} is not valid: it must not be empty, nor ${EVERY_TOPIC}, by which clients ask for every topic.`,
    )
  return topic
}
