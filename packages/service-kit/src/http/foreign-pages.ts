import type { IncomingHttpHeaders } from 'node:http'
import { type CommonConfig, isLoopback } from '../process/config.ts'
import { HttpError } from './errors.ts'

/** What a request says about where it comes from. */
export interface RequestOrigin {
  readonly method: string | undefined
  /** The `Host` field, or `:authority` (HTTP/2). */
  readonly host: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** Returns why a request is refused, or `undefined`. */
export type ForeignPagesGuard = (request: RequestOrigin) => HttpError | undefined

/** What nearly every caller says; anything else is looked at closely. */
const USUAL_HOST = /^(localhost|127\.0\.0\.1):\d{1,5}$/
/** A name and perhaps a port, and nothing else: `URL` would also take a user in front of it. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i
/** `http://name` and perhaps a port (RFC 6454 §6.2). */
const ORIGIN = /^https?:\/\/([^/]+)$/i

/** What a service of this configuration is called by, beside localhost. */
export type HostsConfig = Pick<CommonConfig, 'production' | 'allowedHosts'>

/**
 * What is open to loopback is open to every web page in the developer's browser, too: by a request of that page, or by
 * a name of its own that it lets point to 127.0.0.1 (DNS rebinding). Both show in the headers. A development service
 * therefore answers only to localhost and to the names in `ALLOWED_HOSTS`; programs send no `Origin` and pass.
 *
 * @param host the address that is listened on: elsewhere than on loopback, and in production, names are the business of
 *   the person who runs the service, and the guard lets everything pass.
 */
export function foreignPagesGuard(
  host: string,
  { production, allowedHosts }: HostsConfig,
): ForeignPagesGuard {
  if (production || !isLoopback(host)) return () => undefined
  return refuseForeignPages(allowedHosts, { links: true })
}

/**
 * The rule of {@link foreignPagesGuard}, wherever the request came in.
 * @param options.links whether a link on another site may lead here.
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
    // A trailing dot says that the name is complete, and changes nothing else.
    const name = written.toLowerCase().replace(/^\[|\]$|\.$/g, '')
    return isLoopback(name) || allowed.has(name)
  }

  return ({ method, host: authority, headers }) => {
    if (authority !== undefined && !isOurs(authority)) return foreignHost()
    const { origin, 'sec-fetch-site': site } = headers
    // A page of ours that hides where it is: its `Referrer-Policy` is no-referrer (Fetch §3.1).
    const isHidden = origin === 'null' && site === 'same-origin'
    if (origin !== undefined && !isHidden && !isOurs(ORIGIN.exec(origin)?.[1] ?? '')) return foreignOrigin()
    if (site === 'cross-site' && !(links && followsLink(method, headers))) return foreignOrigin()
    return undefined
  }
}

/** A link on another site may lead here; that page does not see what is answered (Fetch Metadata). */
const followsLink = (method: string | undefined, headers: IncomingHttpHeaders) =>
  method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'

/** A cache must not give one page the answer to another. */
const VARY = { headers: { vary: 'Sec-Fetch-Site, Origin' } }

const foreignHost = () =>
  new HttpError(
    403,
    'foreign_host',
    'In development, this service accepts only localhost in the Host header. Add other names to ALLOWED_HOSTS.',
  )

const foreignOrigin = () =>
  new HttpError(
    403,
    'foreign_origin',
    'In development, this service does not answer requests of pages from other sites. Add their hosts to ALLOWED_HOSTS.',
    VARY,
  )
