import { asSentBack, fromHeaderValue } from '@hallpass/event-stream'
import { badRequest, HttpError } from '@hallpass/service-kit'
import type { Request, RequestHandler } from 'express'
import type { EventLog } from '../log/index.ts'
import type { StreamHub } from '../streaming/index.ts'

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  // As the original; whoever must not read the stream must not reach this server, but the gateway before it.
  'access-control-allow-origin': '*',
  // Without it nginx keeps events until it has a buffer full of them.
  'x-accel-buffering': 'no',
} as const

/** As many as fit a URL; each client with a filter of its own costs one comparison for each event. */
const MAX_TOPICS = 32

/** GET on any path: the events without a topic; those of `/topics/:topic` and `?topic=`; with `?topic=*` every one. */
export function stream(hub: StreamHub, log: EventLog): RequestHandler {
  return (request, response) => {
    if (!log.loaded)
      throw new HttpError(
        503,
        'log_not_loaded',
        'The event log does not answer yet; try again in a moment.',
        {
          headers: { 'retry-after': '1' },
        },
      )
    const wanted = { lastEventId: lastEventId(request), topics: topics(request) }
    // The head goes out at once: a client that waits for the first event must know that it is connected.
    response.writeHead(200, HEADERS)
    if (request.method === 'HEAD') response.end()
    else hub.open(response, wanted)
  }
}

/** Lets pages of other origins reconnect: `Last-Event-ID` is not a safelisted header (Fetch §2.2.2). */
export const preflight: RequestHandler = (_request, response) => {
  response
    .writeHead(204, {
      allow: 'GET, HEAD, OPTIONS',
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-headers': 'last-event-id, cache-control',
      'access-control-max-age': '86400',
    })
    .end()
}

/** The header, which a browser sets when it reconnects, before the query, for clients that cannot set headers. */
function lastEventId(request: Request): string | undefined {
  const header = request.headers['last-event-id']
  if (typeof header === 'string') return fromHeaderValue(header) || undefined
  const [query] = [request.query.lastEventId].flat()
  return typeof query === 'string' ? asSentBack(query) || undefined : undefined
}

function topics(request: Request): string[] | undefined {
  const wanted = [request.params.topic, request.query.topic].flat().filter((topic) => topic !== undefined)
  if (wanted.length > MAX_TOPICS)
    throw badRequest('too_many_topics', `A stream takes at most ${MAX_TOPICS} topics.`)
  if (wanted.some((topic) => topic === ''))
    throw badRequest('empty_topic', 'A topic must not be empty; * stands for all.')
  return wanted.length === 0 ? undefined : (wanted as string[])
}
