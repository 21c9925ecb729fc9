import type { IncomingHttpHeaders } from 'node:http'
import { HttpError } from '../errors.ts'
import { type CommonConfig, isLoopback } from '../process/index.ts'

/** The parts of a request that show where it comes from. */
export interface RequestOrigin {
  readonly method: string | undefined
  /** The `Host` header, or `:authority` (HTTP/2). */
  readonly host: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** Returns why a request is rejected, or `undefined`. */
export type ForeignPagesGuard = (request: RequestOrigin) => HttpError | undefined

/** The host that nearly every client sends; anything else is parsed. */
const USUAL_HOST = /^(localhost|127\.0\.0\.1):\d{1,5}$/
/** A name and an optional port; `URL` would also accept a user name in front of it. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i
/** `http://name` and an optional port (RFC 6454 §6.2). */
const ORIGIN = /^https?:\/\/([^/]+)$/i

/** The settings that decide which host names a service accepts. */
export type HostsConfig = Pick<CommonConfig, 'production' | 'allowedHosts'>

/**
 * Creates the guard against other web pages and DNS rebinding. A service on loopback is open to every page in the
 * developer's browser: by a request of that page, or through a host name that the attacker points to 127.0.0.1. Both
 * show in the headers. A development service therefore accepts only localhost, loopback addresses and the names in
 * `ALLOWED_HOSTS`; programs send no `Origin` and are accepted.
 *
 * @param host the address that is bound: on addresses other than loopback, and in production, host names are the
 *   operator's responsibility, and the guard accepts everything
 */
export function foreignPagesGuard(
  host: string,
  { production, allowedHosts }: HostsConfig,
): ForeignPagesGuard {
  if (production || !isLoopback(host)) return () => undefined
  return refuseForeignPages(allowedHosts, { links: true })
}

/**
 * Applies the rule of {@link foreignPagesGuard}, whatever address the request arrived at.
 * @param options.links whether links on other sites may lead here
 */
export function refuseForeignPages(
  allowedHosts: readonly string[],
  { links }: { readonly links: boolean },
): ForeignPagesGuard {
  const allowed = new Set(allowedHosts.map((name) => name.toLowerCase()))

  const isOurs = (authority: string): boolean => {
    if (USUAL_HOST.test(authority)) return true
    const [, written] = HOST.exec(authority) ?? []
    if (written === undefined) return false
    // A trailing dot marks a fully qualified name and changes nothing else.
    const name = written.toLowerCase().replace(/^\[|\]$|\.$/g, '')
    return isLoopback(name) || allowed.has(name)
  }

  return ({ method, host: authority, headers }) => {
    if (authority !== undefined && !isOurs(authority)) return foreignHost()
    const { origin, 'sec-fetch-site': site } = headers
    // One of our own pages, whose `Referrer-Policy: no-referrer` makes its origin `null` (Fetch §3.1).
    const isHidden = origin === 'null' && site === 'same-origin'
    if (origin !== undefined && !isHidden && !isOurs(ORIGIN.exec(origin)?.[1] ?? '')) return foreignOrigin()
    if (site === 'cross-site' && !(links && followsLink(method, headers))) return foreignOrigin()
    return undefined
  }
}

/** Returns whether a request follows a link on another site, which cannot read the response (Fetch Metadata). */
const followsLink = (method: string | undefined, headers: IncomingHttpHeaders) =>
  method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'

/** A cache must not return the response for one page to another. */
const VARY = { headers: { vary: 'Sec-Fetch-Site, Origin' } }

const foreignHost = () =>
  new HttpError(
    403,
    'foreign_host',
    'In development, this service accepts only localhost and loopback addresses in the Host header. Add other names to ALLOWED_HOSTS.',
  )

const foreignOrigin = () =>
  new HttpError(
    403,
    'foreign_origin',
    'In development, this service rejects requests from pages of other sites. Add their hosts to ALLOWED_HOSTS.',
    VARY,
  )
