import { isUtf8 } from 'node:buffer'
import { ownerOf } from '@hallpass/guarded-stream'
import { badRequest, HttpError, Tally } from '@hallpass/service-kit'
import { JsonError, readJson, writeJson } from '@hallpass/untrusted/json'
import { credentialsOf, type Grant, type StreamAdmission, type TopicAccess } from '../admission/index.ts'
import {
  type AllowedOrigins,
  answerJson,
  corsHeaders,
  type Exchange,
  type ExchangeHandler,
  refuseForeignOrigin,
  unavailable,
} from '../http/index.ts'
import type { StreamMetrics } from '../streams/index.ts'
import type { Publisher } from '../upstream/index.ts'

export interface PublishOptions extends StreamAdmission {
  /** The path of events to which it publishes. */
  readonly path: string
  readonly topics: TopicAccess
  readonly origins: AllowedOrigins
  readonly publisher: Publisher
  readonly metrics: StreamMetrics
}

/** The limit of the SSE server's own `POST /publish`: one object of 1 MiB with white space, or a batch. */
const MAX_BODY_BYTES = 2 * 1024 * 1024
/** One level more than the SSE server allows for an object, for the array of a batch; it checks the rest. */
const MAX_DEPTH = 65
/** Each can have a body of 2 MiB in memory, twice while it is parsed: 256 MiB. The server answers within milliseconds. */
const MAX_IN_FLIGHT = 64
/** So that one subject, with bodies that never end, does not stop the others. */
const MAX_IN_FLIGHT_PER_SUBJECT = 16

/**
 * Handles `POST` of a path for publishing: sends an object or a batch whose topics the token allows to publish to the SSE server, and
 * answers 202 with the IDs that subscribers see. The token must be in the header or in a cookie: in a URL, it would end up in logs.
 */
export function publish(options: PublishOptions): ExchangeHandler {
  const { authorizer, metrics, origins, path, publisher, topics } = options
  const sources = { ...options.sources, queryTokens: false }
  const inFlight = new Tally<string>()

  return async (exchange) => {
    try {
      const { token, from } = credentialsOf(exchange, sources)
      refuseForeignOrigin(exchange, origins, from === 'cookie')
      const grant = await authorizer.authorize(token)
      exchange.record?.add({ jti: grant.tokenId })
      refuseOtherTypes(exchange)
      const receipt = await within(inFlight, grant, () => publishBody(exchange, grant))
      metrics.published(path, 'accepted')
      answerJson(exchange, 202, receipt, corsHeaders(exchange, origins))
    } catch (error) {
      const isRefused = error instanceof HttpError && error.status < 500
      metrics.published(path, isRefused ? 'refused' : 'failed')
      throw error
    }
  }

  async function publishBody(exchange: Exchange, grant: Grant): Promise<object> {
    const body = parse(await exchange.readBody(MAX_BODY_BYTES))
    const topicsOfBody = topicsIn(body)
    exchange.record?.add({ publications: topicsOfBody.length })
    topics.refuseUnpublishable(grant, new Set(topicsOfBody))
    // The body may have taken seconds.
    authorizer.refuseRevoked(grant)
    // Written again: what is checked here and what the server reads are the same, whatever a parser makes of the original.
    return publisher.publish(writeJson(body))
  }
}

/** @throws {HttpError} 429 or 503 `too_many_publications` */
async function within<T>(inFlight: Tally<string>, grant: Grant, work: () => Promise<T>): Promise<T> {
  const owner = ownerOf(grant)
  if (inFlight.total >= MAX_IN_FLIGHT)
    throw unavailable(503, 'too_many_publications', 'Too many publications are in progress. Retry later.')
  if (inFlight.of(owner) >= MAX_IN_FLIGHT_PER_SUBJECT)
    throw new HttpError(
      429,
      'too_many_publications',
      'This subject has too many publications in progress. Wait for an answer, or send a batch.',
      { headers: { 'retry-after': '1' } },
    )
  inFlight.add(owner)
  try {
    return await work()
  } finally {
    inFlight.remove(owner)
  }
}

/** A page of another origin cannot send this type without a preflight. */
function refuseOtherTypes({ headers }: Exchange): void {
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    throw new HttpError(415, 'wrong_content_type', 'The content type must be application/json.')
}

/** The SSE server rejects duplicate members and invalid UTF-8 as well, so the publisher gets the same error earlier. */
function parse(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw badRequest('malformed_json', 'The body is not valid UTF-8.')
  try {
    return readJson(bytes.toString('utf8'), { maxDepth: MAX_DEPTH })
  } catch (error) {
    if (error instanceof JsonError) throw badRequest(error.code, error.message, error)
    throw error
  }
}

/** Returns the topic of each publication. The SSE server checks all other members. */
function topicsIn(body: unknown): (string | undefined)[] {
  const publications: readonly unknown[] = Array.isArray(body) ? body : [body]
  return publications.map((publication) => {
    if (typeof publication !== 'object' || publication === null || Array.isArray(publication))
      throw badRequest('not_one_object', 'The body must be one JSON object, or an array of objects.')
    const { topic } = publication as { readonly topic?: unknown }
    if (topic !== undefined && typeof topic !== 'string')
      throw badRequest('bad_member', 'topic must be a string.')
    return topic
  })
}
