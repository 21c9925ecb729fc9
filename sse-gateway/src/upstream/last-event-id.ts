import { asSentBack, canBeSentBack, fromHeaderValue, MAX_EVENT_ID_BYTES } from '@hallpass/event-stream'
import { badRequest } from '@hallpass/service-kit'
import type { Exchange } from '../http/index.ts'

/**
 * Where the client wants to continue: its `Last-Event-ID` header, else the parameter `lastEventId` for a client that
 * opens a new stream at another URL; `undefined` when it starts afresh.
 * @throws {HttpError} 400 when the id has a character that no header can carry. Its length is for the caller to judge.
 */
export function lastEventIdOf({ headers, query }: Exchange): string | undefined {
  const header = headers['last-event-id']
  const id = typeof header === 'string' ? fromHeaderValue(header) : asSentBack(query.get('lastEventId') ?? '')
  if (id === '') return undefined
  if (!canBeSentBack(id))
    throw badRequest('invalid_last_event_id', 'The last event id has a control character.')
  return id
}

/** @throws {HttpError} 400 */
export function refuseLongId(id: string): void {
  if (Buffer.byteLength(id) > MAX_EVENT_ID_BYTES)
    throw badRequest('invalid_last_event_id', `The last event id is longer than ${MAX_EVENT_ID_BYTES} bytes.`)
}
