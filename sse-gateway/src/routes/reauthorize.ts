import { HttpError } from '@hallpass/service-kit'
import type { Authorizer, Grant } from '../authorizer.ts'
import { type AllowedOrigins, corsHeaders, refuseForeignOrigin } from '../cors.ts'
import { type CredentialSources, credentialsOf } from '../credentials.ts'
import { answer, type Handler, methodNotAllowed } from '../dispatch.ts'
import type { Exchange } from '../exchange.ts'
import type { StreamMetrics } from '../stream-metrics.ts'
import type { StreamRegistry } from '../stream-registry.ts'
import type { StreamSession } from '../stream-session.ts'

export interface ReauthorizeOptions {
  readonly path: string
  readonly sources: CredentialSources
  readonly origins: AllowedOrigins
  readonly authorizer: Authorizer
  readonly streams: StreamRegistry
  readonly metrics: StreamMetrics
}

const CHALLENGE_RESPONSE = /^application\/x-challenge-response\s*(;|$)/i

/**
 * `POST` of a path of events with the content type of a challenge response: the answer to a challenge. Its token
 * extends the streams of its own subject on this path: the one that the request's `stream-handle` names, or without
 * a handle all that are on the same connection.
 */
export function reauthorize(options: ReauthorizeOptions): Handler {
  const { authorizer, metrics, origins, path } = options
  return async (exchange) => {
    if (!CHALLENGE_RESPONSE.test(exchange.headers['content-type'] ?? '') || exchange.hasBody)
      throw methodNotAllowed(['GET'])
    try {
      const { token, from } = credentialsOf(exchange, options.sources)
      refuseForeignOrigin(exchange, origins, from === 'cookie')
      const grant = await authorizer.authorize(token)
      exchange.tokenId = grant.tokenId
      const extended = streamsFor(exchange, grant)
      // One answer for a stream that is not there and for another's: a guess at a handle learns nothing.
      if (extended.length === 0)
        throw new HttpError(403, 'no_such_stream', 'The token has no open stream here that it could extend.')
      for (const session of extended) session.reauthorize(grant)
    } catch (error) {
      metrics.reauthorized(path, 'refused')
      throw error
    }
    metrics.reauthorized(path, 'accepted')
    answer(exchange, 204, corsHeaders(exchange, origins))
  }

  function streamsFor(exchange: Exchange, grant: Grant): StreamSession[] {
    const { streams } = options
    const handle = exchange.headers['stream-handle'] ?? exchange.query.get('stream-handle')
    const named = typeof handle === 'string' ? streams.withHandle(handle) : undefined
    const candidates =
      typeof handle === 'string' ? (named ? [named] : []) : [...streams.onConnection(exchange.connection)]
    return candidates.filter((session) => session.path === path && session.belongsTo(grant))
  }
}
