import type { OutgoingHttpHeaders } from 'node:http'
import { HttpError } from '@hallpass/service-kit'
import type { Exchange } from './exchange/index.ts'

/** Which origins can read responses: all, as documented, or those in a list, which can then also use cookies. */
export type AllowedOrigins = '*' | readonly string[]

/** Listed explicitly because `*` does not cover `Authorization` (Fetch §3.2.5). */
const REQUEST_HEADERS = 'authorization, content-type, last-event-id, stream-handle, cache-control'
const EXPOSED_HEADERS = 'stream-handle, last-event-id, www-authenticate, retry-after, x-request-id'
/** Ten minutes. Chromium would cache a preflight for up to two hours, but a changed policy should take effect sooner. */
const MAX_AGE_SECONDS = '600'

/**
 * Returns the CORS headers, for every response including 401, 403 and 204: without them, a page cannot distinguish a
 * rejection from a network failure.
 */
export function corsHeaders({ headers }: Exchange, allowed: AllowedOrigins): OutgoingHttpHeaders {
  if (allowed === '*')
    return { 'access-control-allow-origin': '*', 'access-control-expose-headers': EXPOSED_HEADERS }
  const { origin } = headers
  if (origin === undefined || !allowed.includes(origin)) return { vary: 'origin' }
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': EXPOSED_HEADERS,
    vary: 'origin',
  }
}

/** Returns whether a request is a CORS preflight (Fetch §3.2.2), which has no token. */
export const isPreflight = ({ method, headers }: Exchange): boolean =>
  method === 'OPTIONS' &&
  headers.origin !== undefined &&
  headers['access-control-request-method'] !== undefined

export function preflightHeaders(exchange: Exchange, allowed: AllowedOrigins): OutgoingHttpHeaders {
  const headers = corsHeaders(exchange, allowed)
  if (headers['access-control-allow-origin'] === undefined) return headers
  return {
    ...headers,
    'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
    'access-control-allow-headers': REQUEST_HEADERS,
    'access-control-max-age': MAX_AGE_SECONDS,
  }
}

/**
 * Rejects pages of origins that are not in the list. If all origins are allowed, rejects other origins that authenticate
 * only by a cookie, because browsers send cookies without the user's intent.
 * @throws {HttpError} 403
 */
export function refuseForeignOrigin(exchange: Exchange, allowed: AllowedOrigins, byCookie: boolean): void {
  const { origin } = exchange.headers
  if (origin === undefined || origin === `https://${exchange.host}`) return
  if (allowed === '*' ? byCookie : !allowed.includes(origin))
    throw new HttpError(
      403,
      'origin_not_allowed',
      'Pages of this origin are not allowed to use the stream. See ALLOWED_ORIGINS.',
    )
}
