import { JsonNumber, toNumber, writeJson } from '@hallpass/untrusted/json'

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
  readonly code: 'empty_publication' | 'bad_member'

  constructor(code: PublicationError['code'], message: string) {
    super(message)
    this.name = 'PublicationError'
    this.code = code
  }
}

/** What fits one length byte: the gateways in use take no longer ids and types, and refuse a longer Last-Event-ID. */
const MAX_NAME_BYTES = 254
/** A day; a client that is told to wait longer looks dead. */
const MAX_RETRY_MS = 86_400_000

/**
 * The publication in a JSON object: `data` as text, anything else as compact JSON with its numbers as they were written; the event's type as `name`, `event` or
 * `type`; `id`, `retry` and `topic`. Members that are not known are ignored.
 * @throws {PublicationError} when a member has a value that the stream cannot carry, or none of them is there.
 */
export function toPublication(object: Readonly<Record<string, unknown>>): Publication {
  const { data, id, retry, topic } = object
  const type = object.name ?? object.event ?? object.type
  const publication: Publication = {
    ...(data === undefined ? {} : { data: typeof data === 'string' ? data : writeJson(data) }),
    ...(type === undefined || type === '' ? {} : { event: name('event', type) }),
    ...(id === undefined
      ? {}
      : { id: name('id', typeof id === 'number' || id instanceof JsonNumber ? String(id) : id) }),
    ...(retry === undefined ? {} : { retry: milliseconds(retry) }),
    ...(topic === undefined ? {} : { topic: topicName(topic) }),
  }
  const { topic: _topic, ...streamed } = publication
  if (Object.keys(streamed).length === 0)
    throw new PublicationError('empty_publication', 'A publication needs data, event, id or retry.')
  // A type without data is meant to be seen; without a data field no client would report it.
  return publication.event === undefined ? publication : { data: '', ...publication }
}

function name(member: string, value: unknown): string {
  if (typeof value !== 'string' || /[\r\n\0]/.test(value) || Buffer.byteLength(value) > MAX_NAME_BYTES)
    throw new PublicationError(
      'bad_member',
      `${member} must be a text of at most ${MAX_NAME_BYTES} bytes without line ends and NUL.`,
    )
  return value
}

function milliseconds(given: unknown): number {
  const value = toNumber(given)
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > MAX_RETRY_MS)
    throw new PublicationError(
      'bad_member',
      `retry must be a whole number of milliseconds up to ${MAX_RETRY_MS}.`,
    )
  return value as number
}

function topicName(value: unknown): string {
  const topic = name('topic', value)
  if (topic === '') throw new PublicationError('bad_member', 'topic must not be empty.')
  return topic
}
