import { badRequest } from '@hallpass/service-kit'
import type { Exchange } from './exchange.ts'

/** As the original's gateway; an id is a position in a log, and those are short. */
export const MAX_LAST_EVENT_ID_BYTES = 254

/**
 * Where the client wants to go on: its `Last-Event-ID` header, else the parameter `lastEventId` for a client that
 * opens a new stream at another URL; `undefined` when it starts afresh.
 * @throws {HttpError} 400 when the id has a character that no header can carry. Its length is for the caller to judge.
 */
export function lastEventIdOf({ headers, query }: Exchange): string | undefined {
  const header = headers['last-event-id']
  // Node reads header bytes as Latin-1; the id is UTF-8 (HTML §9.2.3).
  const id = typeof header === 'string' ? Buffer.from(header, 'latin1').toString() : query.get('lastEventId')
  if (id === null || id === '') return undefined
  if (!canBeSent(id)) throw badRequest('invalid_last_event_id', 'The last event id has a control character.')
  return id
}

/** @throws {HttpError} 400 */
export function refuseLongId(id: string): void {
  if (Buffer.byteLength(id) > MAX_LAST_EVENT_ID_BYTES)
    throw badRequest(
      'invalid_last_event_id',
      `The last event id is longer than ${MAX_LAST_EVENT_ID_BYTES} bytes.`,
    )
}

/** The id as the value of a header: UTF-8, which Node takes as Latin-1. */
export const asHeader = (id: string): string => Buffer.from(id).toString('latin1')

/** RFC 9110 §5.5: a field value has no control characters but the tab, and none of its ends is white space. */
export const canBeSent = (id: string): boolean =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
  !/[\0-\x08\x0a-\x1f\x7f]/.test(id) && id.trim() === id
