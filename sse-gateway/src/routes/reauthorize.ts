import { HttpError } from '@hallpass/service-kit'
import { type Authorizer, type CredentialSources, credentialsOf, type Grant } from '../admission/index.ts'
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
    if (typeof handle !== 'string') return streams.extendOnConnection(exchange.connection, path, grant)
    return streams.extendNamed(handle, path, grant) || ((await askPeer?.(handle, path, grant)) ?? false)
  }
}
