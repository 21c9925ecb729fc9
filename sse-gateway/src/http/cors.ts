import type { OutgoingHttpHeaders } from 'node:http'
import { HttpError } from '@hallpass/service-kit'
import type { Exchange } from './exchange/index.ts'

/** Which pages may read the answers: all of them, as documented, or those of a list, then also with cookies. */
export type AllowedOrigins = '*' | readonly string[]

/** Spelled out, because `*` does not cover `Authorization` (Fetch §3.2.5). */
const REQUEST_HEADERS = 'authorization, content-type, last-event-id, stream-handle, cache-control'
const EXPOSED_HEADERS = 'stream-handle, www-authenticate, retry-after, x-request-id'
/** Ten minutes: Chromium keeps a preflight for two hours at most; a changed policy should be seen sooner. */
const MAX_AGE_SECONDS = '600'

/** For every answer, also 401, 403 and 204: a page that may not read a refusal cannot tell it from a broken network. */
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

/** OPTIONS with `Origin` and `Access-Control-Request-Method` (Fetch §3.2.2) asks about a request, and carries no token. */
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
 * Refuses another site's page that a list does not name; and one that has only the browser's cookie to show, because
 * the browser sends that whether its user means it or not.
 * @throws {HttpError} 403
 */
export function refuseForeignOrigin(exchange: Exchange, allowed: AllowedOrigins, byCookie: boolean): void {
  const { origin } = exchange.headers
  if (origin === undefined || origin === `https://${exchange.host}`) return
  if (allowed === '*' ? byCookie : !allowed.includes(origin))
    throw new HttpError(403, 'origin_not_allowed', 'Pages of this origin may not use the stream.')
}
