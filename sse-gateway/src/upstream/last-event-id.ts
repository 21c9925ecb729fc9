import { asSentBack, canBeSentBack, fromHeaderValue, MAX_EVENT_ID_BYTES } from '@hallpass/event-stream'
import { badRequest } from '@hallpass/service-kit'
import type { Exchange } from '../http/index.ts'

/**
 * Returns the ID from which a client resumes: the `Last-Event-ID` header, else the parameter `lastEventId`, for clients
 * that cannot set headers; `undefined` if it has neither.
 * @throws {HttpError} 400 if the ID has a character that a header cannot contain. The caller checks the length.
 */
export function lastEventIdOf({ headers, query }: Exchange): string | undefined {
  const header = headers['last-event-id']
  const id = typeof header === 'string' ? fromHeaderValue(header) : asSentBack(query.get('lastEventId') ?? '')
  if (id === '') return undefined
  if (!canBeSentBack(id))
    throw badRequest('invalid_last_event_id', 'The last event ID contains a control character.')
  return id
}

/** @throws {HttpError} 400 */
export function refuseLongId(id: string): void {
  if (Buffer.byteLength(id) > MAX_EVENT_ID_BYTES)
    throw badRequest('invalid_last_event_id', `The last event ID is longer than ${MAX_EVENT_ID_BYTES} bytes.`)
}
