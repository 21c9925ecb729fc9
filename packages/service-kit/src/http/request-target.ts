import type { IncomingMessage } from 'node:http'
import { badRequest, type HttpError } from '../errors.ts'

/**
 * Normalizes a request to one host and a target that begins with a slash, so that all code behind it reads the same
 * values. For an absolute target (`GET http://host/ HTTP/1.1`) its host is used instead of the header (RFC 9112
 * §3.2.2). The asterisk of `OPTIONS *` is for servers that have options of their own (§3.2.4), and a URL has none.
 * @returns why the request is rejected, e.g. because it has no host or two (RFC 9112 §3.2)
 */
export function settleTarget(request: IncomingMessage): HttpError | undefined {
  if (namesTwoHosts(request.rawHeaders)) return twoHosts()
  // HTTP/1.0 had no Host header; a request of HTTP/1.1 must have one, whatever its target is (RFC 9112 §3.2).
  if (request.headers.host === undefined && request.httpVersion === '1.1') return missingHost()
  const { url = '/' } = request
  if (beginsWithSlash(url)) return undefined
  const [, authority, rest] = /^https?:\/\/([^/?#]+)(.*)$/is.exec(url) ?? []
  if (authority === undefined || rest === undefined) return malformedTarget()
  request.headers.host = authority
  request.url = rest.startsWith('/') ? rest : `/${rest}`
  return undefined
}

const SLASH = 0x2f

/** Returns whether a request target has the form of a path (RFC 9112 §3.2.1), the only one that is served. */
export const beginsWithSlash = (target: string) => target.charCodeAt(0) === SLASH

export const malformedTarget = () =>
  badRequest('malformed_target', 'The request target must begin with a slash.')

/**
 * Returns whether there are two Host headers. Node silently keeps the first; a proxy in front may have used the other.
 */
export function namesTwoHosts(rawHeaders: readonly string[]): boolean {
  let found = false
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue
    if (found) return true
    found = true
  }
  return false
}

const missingHost = () => badRequest('missing_host', 'A request must have a Host header.')

export const twoHosts = () => badRequest('two_hosts', 'A request must have exactly one Host header.')
