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
  /** Asks the gateway that issued the handle; absent if there is only one gateway. */
  readonly askPeer?: ((handle: string, path: string, grant: Grant) => Promise<boolean>) | undefined
}

const CHALLENGE_RESPONSE = /^application\/x-challenge-response\s*(;|$)/i

/**
 * Handles a challenge response: a `POST` to a path of events with the content type of the challenge. Its token extends
 * streams of its own subject on this path: the one with the request's `stream-handle` or, without a handle, all on the
 * same connection.
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
      // The same response for an unknown handle and another subject's handle, so that guessing reveals nothing.
      if (!(await extend(exchange, grant)))
        throw new HttpError(403, 'no_such_stream', 'No open stream matches this token and stream-handle.')
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
