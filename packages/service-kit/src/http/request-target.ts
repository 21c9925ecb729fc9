import type { IncomingMessage } from 'node:http'
import { badRequest, type HttpError } from '../errors.ts'

/**
 * Normalizes a request to one host and a target that begins with a slash, so that all code behind it reads the same
 * values. For an absolute target (`GET http://host/ HTTP/1.1`) its host is used instead of the header (RFC 9112
 * §3.2.2).
 * @returns why the request is rejected, e.g. because it has two hosts (RFC 9112 §3.2)
 */
export function settleTarget(request: IncomingMessage): HttpError | undefined {
  if (namesTwoHosts(request.rawHeaders)) return twoHosts()
  const { url = '/' } = request
  if (url.charCodeAt(0) === SLASH || url === '*') return undefined
  const [, authority, rest] = /^https?:\/\/([^/?#]+)(.*)$/is.exec(url) ?? []
  if (authority === undefined || rest === undefined)
    return badRequest('malformed_target', 'The request target must begin with a slash.')
  request.headers.host = authority
  request.url = rest.startsWith('/') ? rest : `/${rest}`
  return undefined
}

const SLASH = 0x2f

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

export const twoHosts = () => badRequest('two_hosts', 'A request must have exactly one Host header.')
