import type { Extension } from '@hallpass/guarded-stream'
import { HttpError } from '@hallpass/service-kit'
import { credentialsOf, type Grant, type StreamAdmission } from '../admission/index.ts'
import {
  type AllowedOrigins,
  answer,
  corsHeaders,
  type Exchange,
  type ExchangeHandler,
  methodNotAllowed,
  refuseForeignOrigin,
} from '../http/index.ts'
import type { StreamMetrics, StreamRegistry } from '../streams/index.ts'

export interface ReauthorizeOptions extends StreamAdmission {
  readonly path: string
  readonly origins: AllowedOrigins
  readonly streams: StreamRegistry
  readonly metrics: StreamMetrics
  /** Asks the gateway that issued the handle; absent if there is only one gateway. */
  readonly askPeer?: ((handle: string, path: string, grant: Grant) => Promise<Extension>) | undefined
}

type NotExtended = Extract<Extension, { outcome: 'not_extended' }>

/** The code of the response, and the result in the metric. */
const NOT_EXTENDED = 'not_extended'

const CHALLENGE_RESPONSE = /^application\/x-challenge-response\s*(;|$)/i

/**
 * Handles a challenge response: a `POST` to a path of events with the content type of the challenge. Its token extends
 * streams of its own subject on this path: the one with the request's `stream-handle` or, without a handle, all on the
 * same connection. Answers 204 if one is extended, 409 `not_extended` if none stays open for longer with this token, 403
 * `no_such_stream` if there is none, 403 `topic_forbidden` if the token does not allow all topics of a stream and extends no other.
 */
export function reauthorize(options: ReauthorizeOptions): ExchangeHandler {
  const { authorizer, metrics, origins, path } = options
  return async (exchange) => {
    if (!CHALLENGE_RESPONSE.test(exchange.headers['content-type'] ?? '')) throw methodNotAllowed(['GET'])
    // Before the token is verified: it could be revoked while the gateway waits for the end of the request.
    await exchange.readBody(0)
    try {
      const { token, from } = credentialsOf(exchange, options.sources)
      refuseForeignOrigin(exchange, origins, from === 'cookie')
      const grant = await authorizer.authorize(token)
      exchange.record?.add({ jti: grant.tokenId })
      const result = await extend(exchange, grant)
      // The same response for an unknown handle and another subject's handle, so that guessing reveals nothing.
      if (result.outcome === 'unknown')
        throw new HttpError(403, 'no_such_stream', 'No open stream matches this token and stream-handle.')
      if (result.outcome === 'forbidden')
        throw (
          options.topics?.readingForbidden(result.missing) ??
          new HttpError(403, 'topic_forbidden', 'The token does not allow all topics of the stream.')
        )
      if (result.outcome === 'not_extended')
        throw new HttpError(409, NOT_EXTENDED, whyNotExtended(result, grant))
    } catch (error) {
      const isShort = error instanceof HttpError && error.code === NOT_EXTENDED
      metrics.reauthorized(path, isShort ? NOT_EXTENDED : 'refused')
      throw error
    }
    metrics.reauthorized(path, 'accepted')
    answer(exchange, 204, corsHeaders(exchange, origins))
  }

  async function extend(exchange: Exchange, grant: Grant): Promise<Extension> {
    const { askPeer, streams } = options
    const handle = exchange.headers['stream-handle'] ?? exchange.query.get('stream-handle')
    if (typeof handle !== 'string') return streams.extendOnConnection(exchange.connection, path, grant)
    const own = streams.extendNamed(handle, path, grant)
    return own.outcome === 'unknown' && askPeer ? askPeer(handle, path, grant) : own
  }
}

/** Without it, a client would take a 204 for a renewal, and lose its stream at the old expiry. */
function whyNotExtended({ endsAt, tooOld }: NotExtended, { expiresAt }: Grant): string {
  const expiry = `The token expires at ${timeOf(expiresAt)}.`
  return tooOld
    ? `The stream closes at ${timeOf(endsAt)}, at its maximum age, and no token extends it. ${expiry} Open a new stream.`
    : `The stream closes at ${timeOf(endsAt)}. ${expiry} Send a token that expires later.`
}

/** The last instant that a date can hold (ECMA-262 §21.4.1.1); a token may expire later, or never. */
const MAX_DATE_MS = 8.64e15

const timeOf = (ms: number) => (ms <= MAX_DATE_MS ? new Date(ms).toISOString() : 'no time')
