import { asSentBack, fromHeaderValue, toHeaderValue } from '@hallpass/event-stream'
import {
  type AuthorizedRequest,
  badRequest,
  type Clock,
  challenge,
  type Handler,
  HttpError,
} from '@hallpass/service-kit'
import type { Request } from 'express'
import type { EventLog } from '../log/index.ts'
import type { StreamHub } from '../streaming/index.ts'

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  // As in Zilla's example server: a page cannot read what its user can, because no request is authorized by a cookie.
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'last-event-id',
  // Without it, nginx holds events back until its buffer is full.
  'x-accel-buffering': 'no',
} as const

/** The value of the parameter `fields`, and of the response header `event-fields`, which confirms it. */
const TOPIC_FIELD = 'topic'

/** Fits into a URL, and bounds what one stream costs: it is entered under each of its topics. */
const MAX_TOPICS = 32

export interface StreamRouteOptions {
  readonly hub: StreamHub
  readonly log: EventLog
  readonly clock: Clock
  readonly realm: string
}

/**
 * Handles GET on any path: streams events without a topic, or those of `/topics/:topic` and `?topic=`; `?topic=*` streams all. The
 * stream of an authorized request ends when its token expires.
 */
export function stream({ hub, log, clock, realm }: StreamRouteOptions): Handler {
  return (request, response) => {
    if (!log.loaded)
      throw new HttpError(503, 'log_not_loaded', 'The event log is not loaded yet. Retry in a moment.', {
        headers: { 'retry-after': '1' },
      })
    const expiresAt = expiryOf(request)
    // The verifier tolerates clocks that differ, but a stream that would end immediately is of no use.
    if (expiresAt !== undefined && expiresAt <= clock()) throw expired(realm)
    const withTopic = wantsTopic(request)
    const wanted = { lastEventId: lastEventId(request), topics: topics(request), withTopic, expiresAt }
    // Send the headers immediately: a client that waits for the first event must know that it is connected.
    const follows = hub.follows(wanted)
    response.writeHead(200, {
      ...HEADERS,
      ...(withTopic ? { 'event-fields': TOPIC_FIELD } : {}),
      ...(follows === undefined ? {} : { 'last-event-id': toHeaderValue(follows) }),
    })
    if (request.method === 'HEAD') response.end()
    else hub.open(response, wanted)
  }
}

/** Returns when the token of a request expires, in milliseconds since the epoch; undefined if none was needed. */
function expiryOf(request: Request): number | undefined {
  const { exp } = (request as Partial<AuthorizedRequest>).token?.claims ?? {}
  return exp === undefined ? undefined : Number(exp) * 1_000
}

function expired(realm: string): HttpError {
  const message = 'The token has expired.'
  return new HttpError(401, 'token_expired', message, {
    headers: { 'www-authenticate': challenge(realm, { error: 'invalid_token', error_description: message }) },
  })
}

/** Allows pages of other origins to reconnect and to send a token: these headers are not safelisted (Fetch §2.2.2). */
export const preflight: Handler = (_request, response) => {
  response
    .writeHead(204, {
      allow: 'GET, HEAD, OPTIONS',
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-headers': 'last-event-id, cache-control, authorization',
      'access-control-max-age': '86400',
    })
    .end()
}

/** Returns the last event ID: from the header, which browsers set when they reconnect, or else from the query. */
function lastEventId(request: Request): string | undefined {
  const header = request.headers['last-event-id']
  if (typeof header === 'string') return fromHeaderValue(header) || undefined
  const [query] = [request.query.lastEventId].flat()
  return typeof query === 'string' ? asSentBack(query) || undefined : undefined
}

/** Returns whether a request asks for the topic of each event. Tells `?fields=` that this server does not have from a typing error. */
function wantsTopic(request: Request): boolean {
  const fields = [request.query.fields].flat().filter((field) => field !== undefined)
  if (fields.some((field) => field !== TOPIC_FIELD))
    throw badRequest('unknown_field', `The parameter fields can only be ${TOPIC_FIELD}.`)
  return fields.length > 0
}

function topics(request: Request): string[] | undefined {
  const wanted = [request.params.topic, request.query.topic].flat().filter((topic) => topic !== undefined)
  if (wanted.length > MAX_TOPICS)
    throw badRequest('too_many_topics', `A stream can have at most ${MAX_TOPICS} topics.`)
  if (wanted.some((topic) => topic === ''))
    throw badRequest('empty_topic', 'A topic must not be empty. Use * for all topics.')
  return wanted.length === 0 ? undefined : (wanted as string[])
}
