import {
  encodeEvent,
  isControlEvent,
  MAX_EVENT_BYTES,
  MAX_EVENT_ID_BYTES,
  MAX_RETRY_MS,
} from '@hallpass/event-stream'
import { JsonNumber, toNumber, writeJson } from '@hallpass/untrusted/json'
import { escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import { EVERY_TOPIC } from './topics.ts'

/** What a publisher sends to be streamed. */
export interface Publication {
  readonly data?: string
  readonly event?: string
  readonly id?: string
  readonly retry?: number
  readonly topic?: string
}

/** A publication that cannot be streamed; the message names the invalid member. */
export class PublicationError extends Error {
  readonly code:
    | 'empty_publication'
    | 'bad_member'
    | 'reserved_id'
    | 'reserved_event'
    | 'event_too_large'
    | 'id_conflict'
    | 'empty_batch'
    | 'batch_too_large'
  /** The status over HTTP. */
  readonly status: number

  constructor(code: PublicationError['code'], message: string) {
    super(message)
    this.name = 'PublicationError'
    this.code = code
    this.status = STATUS[code] ?? 400
  }
}

const STATUS: Partial<Record<PublicationError['code'], number>> = {
  event_too_large: 413,
  batch_too_large: 413,
  id_conflict: 409,
}

/** Cannot be encoded as UTF-8, so it would arrive as another character. Inside an object it remains an escape sequence. */
const LONE_SURROGATE = /\p{Cs}/u

/** The form of a position in the log, `milliseconds-counter`. It is reserved for the log; publishers' IDs must not have it. */
const POSITION = /^\d+-\d+$/

/** The members that set the event type; the first one present is used. */
const TYPE_MEMBERS = ['name', 'event', 'type'] as const
/** All members of a publication. */
export const PUBLICATION_MEMBERS: readonly string[] = ['data', ...TYPE_MEMBERS, 'id', 'retry', 'topic']

/**
 * Returns the publication in a JSON object. `data` is kept if it is a string, with LF for each line break; other values become compact JSON with
 * numbers as they were written. The event type is `name`, `event` or `type`. Unknown members are ignored.
 * @throws {PublicationError} if a member has a value that cannot be streamed, that clients could not resume from, or that is
 * reserved, if all members are missing, or if the event is too large.
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
  // Clients report an event only if it has a data field, so a type without data gets an empty one.
  const complete = publication.event === undefined ? publication : { data: '', ...publication }
  refuseLarge(complete)
  return complete
}

/**
 * Measures the event as it is sent, without its topic or an ID of the log: line breaks make it larger than the object.
 * Readers count less, only its data ({@link MAX_EVENT_BYTES} of a gateway), so they accept every event that is accepted here.
 */
function refuseLarge({ topic: _topic, ...publication }: Publication) {
  const bytes = Buffer.byteLength(encodeEvent(publication))
  if (bytes > MAX_EVENT_BYTES)
    throw new PublicationError(
      'event_too_large',
      `The event has ${bytes} bytes, with data: before each line of its data. At most ${MAX_EVENT_BYTES} are allowed, because readers accept no more.`,
    )
}

/** Returns a value as short JSON without terminal escape sequences: publishers can be users with `nc`. */
export function shown(value: unknown): string {
  const json = writeJson(value) ?? 'undefined'
  return escapeJsonForTerminal(
    json.length > MAX_EVENT_ID_BYTES ? `${json.slice(0, MAX_EVENT_ID_BYTES)}…` : json,
  )
}

function text(data: string): string {
  if (LONE_SURROGATE.test(data))
    throw new PublicationError(
      'bad_member',
      'data contains a lone surrogate, which cannot be encoded as UTF-8. Send complete characters.',
    )
  // As it is streamed, so that the same events are the same publications.
  return data.replace(/\r\n?/g, '\n')
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
      `${member} ${shown(type)} is reserved for events of the gateway or of this server. Use another name.`,
    )
  return type
}

/** Clients send the ID in a header, which cannot contain control characters and loses leading and trailing white space. */
function eventId(value: unknown): string {
  const id = name('id', typeof value === 'number' || value instanceof JsonNumber ? String(value) : value)
  if (id === '' || /\p{Cc}/u.test(id) || id !== id.trim())
    throw new PublicationError(
      'bad_member',
      `id ${shown(id)} is not valid: clients could not resume from it. It must not be empty, contain control characters, or start or end with white space.`,
    )
  if (POSITION.test(id))
    throw new PublicationError(
      'reserved_id',
      `id ${shown(id)} is reserved: this log uses the form number-number for its own positions. Add a prefix, or omit the id.`,
    )
  return id
}

function milliseconds(given: unknown): number {
  const value = toNumber(given)
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > MAX_RETRY_MS)
    throw new PublicationError(
      'bad_member',
      `retry ${shown(given)} is not valid: it must be an integer from 0 to ${MAX_RETRY_MS} (milliseconds).`,
    )
  return value as number
}

function topicName(value: unknown): string {
  const topic = name('topic', value)
  if (topic === '' || topic === EVERY_TOPIC)
    throw new PublicationError(
      'bad_member',
      `topic ${shown(topic)} is not valid: it must not be empty or ${EVERY_TOPIC}, with which clients request every topic.`,
    )
  return topic
}
