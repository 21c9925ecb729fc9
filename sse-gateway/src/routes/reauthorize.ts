import { HttpError } from '@hallpass/service-kit'
import type { Authorizer, Grant } from '../admission/authorizer.ts'
import { type CredentialSources, credentialsOf } from '../admission/credentials.ts'
import { type AllowedOrigins, corsHeaders, refuseForeignOrigin } from '../http/cors.ts'
import { answer, methodNotAllowed } from '../http/dispatch.ts'
import type { Exchange, ExchangeHandler } from '../http/exchange/exchange.ts'
import type { StreamMetrics } from '../streams/stream-metrics.ts'
import type { StreamRegistry } from '../streams/stream-registry.ts'
import type { StreamSession } from '../streams/stream-session.ts'

export interface ReauthorizeOptions {
  readonly path: string
  readonly sources: CredentialSources
  readonly origins: AllowedOrigins
  readonly authorizer: Authorizer
  readonly streams: StreamRegistry
  readonly metrics: StreamMetrics
  /** Asks the gateway whose handle it is; absent where there is but one. */
  readonly askPeer?: ((handle: string, path: string, grant: Grant) => Promise<boolean>) | undefined
}

const CHALLENGE_RESPONSE = /^application\/x-challenge-response\s*(;|$)/i

/**
 * `POST` of a path of events with the content type of a challenge response: the answer to a challenge. Its token
 * extends the streams of its own subject on this path: the one that the request's `stream-handle` names, or without
 * a handle all that are on the same connection.
 */
export function reauthorize(options: ReauthorizeOptions): ExchangeHandler {
  const { authorizer, metrics, origins, path } = options
  return async (exchange) => {
    if (!CHALLENGE_RESPONSE.test(exchange.headers['content-type'] ?? '') || exchange.hasBody)
      throw methodNotAllowed(['GET'])
    try {
      const { token, from } = credentialsOf(exchange, options.sources)
      refuseForeignOrigin(exchange, origins, from === 'cookie')
      const grant = await authorizer.authorize(token)
      exchange.record?.add({ jti: grant.tokenId })
      // One answer for a stream that is not there and for another's: a guess at a handle learns nothing.
      if (!(await extend(exchange, grant)))
        throw new HttpError(403, 'no_such_stream', 'The token has no open stream here that it could extend.')
    } catch (error) {
      metrics.reauthorized(path, 'refused')
      throw error
    }
    metrics.reauthorized(path, 'accepted')
    answer(exchange, 204, corsHeaders(exchange, origins))
  }

  async function extend(exchange: Exchange, grant: Grant): Promise<boolean> {
    const { askPeer, streams } = options
    const handle = exchange.headers['stream-handle'] ?? exchange.query.get('stream-handle')
    if (typeof handle !== 'string')
      return extendAll([...streams.onConnection(exchange.connection)], path, grant)
    return (
      extendAll([streams.withHandle(handle)], path, grant) ||
      ((await askPeer?.(handle, path, grant)) ?? false)
    )
  }
}

/** Extends those of the streams that are on the path and belong to the grant's subject; says whether there was one. */
export function extendAll(
  candidates: readonly (StreamSession | undefined)[],
  path: string,
  grant: Grant,
): boolean {
  const streams = candidates.filter((session) => session?.path === path && session.belongsTo(grant))
  for (const session of streams) session?.reauthorize(grant)
  return streams.length > 0
}
