import { CONTROL_EVENTS, encodeEvent } from '@hallpass/event-stream'
import { EventBlock, type Reader } from '@hallpass/event-stream/fan-out'
import {
  type ChallengeSpread,
  Deadline,
  ownerOf,
  type StreamLimits,
  type TimerWheel,
} from '@hallpass/guarded-stream'
import { badRequest, type Clock, HttpError, type Logger } from '@hallpass/service-kit'
import {
  credentialsOf,
  type Grant,
  type StreamAdmission,
  type StreamTopics,
  type Tickets,
  type TopicAccess,
  ticketOf,
} from '../admission/index.ts'
import {
  type AllowedOrigins,
  corsHeaders,
  type Exchange,
  type ExchangeHandler,
  refuseForeignOrigin,
  unavailable,
} from '../http/index.ts'
import { type StreamMetrics, type StreamRegistry, StreamSession } from '../streams/index.ts'
import { lastEventIdOf, type PathEvents, type Place } from '../upstream/index.ts'

export interface StreamEventsOptions extends StreamAdmission {
  readonly path: string
  readonly origins: AllowedOrigins
  readonly tickets: Tickets
  readonly events: PathEvents
  readonly streams: StreamRegistry
  readonly metrics: StreamMetrics
  readonly wheel: TimerWheel
  readonly spread: ChallengeSpread
  readonly clock: Clock
  readonly log: Logger
  readonly limits: StreamLimits
  readonly maxStreams: number
  readonly maxStreamsPerSubject: number
}

/** Tokens are short-lived, so a subject at its limit has one stream less in about this time. */
const TOO_MANY_RETRY_SECONDS = 30

/** No proxy between the gateway and the client is allowed to cache, buffer or change the stream. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-store, private, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/**
 * Returns the topics of the stream that a request opens; undefined if the path has none. Other unknown parameters are ignored:
 * pages add some against caches.
 * @throws {HttpError} 403 if the token does not allow one of them, 400 for an invalid one, or if the path has no topics
 */
function topicsOf(
  { query }: Exchange,
  grant: Grant,
  access: TopicAccess | undefined,
): StreamTopics | undefined {
  if (access) return access.select(grant, query.getAll('topic'))
  if (query.has('topic'))
    throw badRequest(
      'topic_not_supported',
      'This path sends the same events to all clients. Set TOPICS_CLAIM or, in GATEWAY_CONFIG, topics of the path; or add a path whose upstream is /topics/NAME.',
    )
  return undefined
}

/** Handles `GET` of a path of events: opens a stream that closes exactly when its token expires. */
export function streamEvents(options: StreamEventsOptions): ExchangeHandler {
  const { authorizer, events, streams, origins, sources } = options
  return async (exchange) => {
    const grant = await admit(exchange)
    exchange.record?.add({ jti: grant.tokenId })
    const topics = topicsOf(exchange, grant, options.topics)
    if (streams.claimed >= options.maxStreams)
      throw unavailable(503, 'too_many_streams', 'This gateway has reached its stream limit. Retry later.')
    if (streams.countOf(grant) >= options.maxStreamsPerSubject)
      throw new HttpError(
        429,
        'too_many_streams',
        'This subject has reached its stream limit. Close a stream first.',
        {
          headers: { 'retry-after': `${TOO_MANY_RETRY_SECONDS}` },
        },
      )
    const release = streams.claim(grant)
    try {
      const place = await events.reserve(ownerOf(grant), lastEventIdOf(exchange), topics?.selectors)
      try {
        authorizer.refuseRevoked(grant)
        if (exchange.closed) throw new HttpError(499, 'client_gone', 'The client has disconnected.')
      } catch (error) {
        place.release()
        throw error
      }
      open(exchange, grant, place, release, topics)
    } catch (error) {
      release()
      throw error
    }
  }

  /** A ticket takes precedence: a cookie comes with it although the page did not choose it. */
  async function admit(exchange: Exchange): Promise<Grant> {
    const ticket = ticketOf(exchange, sources)
    if (ticket !== undefined) {
      refuseForeignOrigin(exchange, origins, false)
      return authorizer.acceptTicket(await options.tickets.redeem(options.path, ticket))
    }
    const { token, from } = credentialsOf(exchange, sources)
    refuseForeignOrigin(exchange, origins, from === 'cookie')
    return authorizer.authorize(token)
  }

  function open(exchange: Exchange, grant: Grant, place: Place, release: () => void, topics?: StreamTopics) {
    const { path, wheel, spread, clock, limits, metrics, log } = options
    const handle = streams.newHandle()
    const wantsHandle = exchange.query.get('handle') === '1'
    const writer = exchange.openStream({
      ...STREAM_HEADERS,
      ...corsHeaders(exchange, origins),
      'stream-handle': handle,
      ...(place.follows === undefined ? {} : { 'last-event-id': place.follows }),
    })
    let reader: Reader | undefined
    const session: StreamSession = new StreamSession({
      path,
      grant,
      handle,
      connection: exchange.connection,
      protocol: exchange.protocol,
      topics: topics?.selectors.texts,
      missing: topics?.missing,
      writer,
      limits,
      wheel,
      spread,
      clock,
      onChallenged: () => metrics.challenged(path),
      onEnding: () => {
        place.release()
        if (reader) events.leave(reader)
      },
      onEnded: (ended, reason) => {
        streams.retire(ended, reason, clock())
        release()
        metrics.ended(path, reason)
        const seconds = Math.round((clock() - ended.openedAt) / 1000)
        const sent = { events: reader?.sentEvents ?? 0, bytes: reader?.sentBytes ?? 0 }
        const line = { path, reason, seconds, ...sent, jti: ended.grant.tokenId }
        // After the streams that end with this one: a line takes as long as an end.
        wheel.fireSoon(new Deadline(() => log.info(line, 'stream ended')))
      },
    })
    streams.add(session)
    metrics.opened(path)
    exchange.onClose(() => session.end('client_gone'))
    // An EventSource cannot read headers, so a page can request the handle as an event.
    if (wantsHandle)
      writer.write(
        new EventBlock(encodeEvent({ event: CONTROL_EVENTS.stream, data: JSON.stringify({ handle }) })),
      )
    session.start()
    if (session.state !== 'ended') reader = place.start(writer, (how) => session.endSoon(how))
  }
}
