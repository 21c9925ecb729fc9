import { HttpError } from '@hallpass/service-kit'
import type { Exchange } from '../http/index.ts'
import type { Challenge } from './protected-resources.ts'

export interface CredentialSources {
  /** Builds the `WWW-Authenticate` of rejections. */
  readonly challenge: Challenge
  /** Whether `?access_token=` is accepted. It ends up in histories and logs (RFC 9700 §4.3.2), but the documented commands need it. */
  readonly queryTokens: boolean
  /** The cookie's name; empty disables cookies. */
  readonly cookie: string
}

export interface Credentials {
  readonly token: string
  readonly from: 'header' | 'query' | 'cookie'
}

const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i

/**
 * Returns the token of a request: from the `Authorization` header, else the query, else a cookie. A source without a
 * usable token is skipped, such as `Authorization: Basic …`; a source with two tokens is ambiguous.
 * @throws {HttpError} 401 without an error code if the request has no token (RFC 6750 §3.1), 400 if a source has two.
 */
export function credentialsOf(exchange: Exchange, sources: CredentialSources): Credentials {
  const { challenge } = sources
  const header = only(headerTokens(exchange), 'Authorization header', challenge)
  if (header !== undefined) return { token: header, from: 'header' }
  const query = sources.queryTokens
    ? only(exchange.query.getAll('access_token'), 'access_token parameter', challenge)
    : undefined
  if (query !== undefined) return { token: query, from: 'query' }
  const cookie = only(cookiesNamed(sources.cookie, exchange.headers.cookie), 'token cookie', challenge)
  if (cookie !== undefined) return { token: cookie, from: 'cookie' }
  throw new HttpError(401, 'no_token', 'no token provided', {
    headers: { 'www-authenticate': challenge() },
  })
}

/**
 * Returns the ticket of a request, from the query.
 * @throws {HttpError} 400 if it has two
 */
export const ticketOf = ({ query }: Exchange, { challenge }: CredentialSources): string | undefined =>
  only(query.getAll('ticket'), 'ticket parameter', challenge)

/** Returns the bearer tokens of all `Authorization` fields. It reads the raw fields because Node keeps only the first. */
function headerTokens({ rawHeaders }: Exchange): string[] {
  const fields: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.toLowerCase() === 'authorization') fields.push(rawHeaders[index + 1] as string)
  // Two fields are ambiguous even if one of them is not a bearer token.
  if (fields.length > 1) return fields
  // RFC 9110 §11.1: the scheme's name is case-insensitive.
  return fields.map((field) => BEARER.exec(field)?.[1] ?? '')
}

/** Returns the values of all cookies with exactly this name. Pairs are separated by `; ` (RFC 6265 §4.2.1). */
function cookiesNamed(name: string, header = ''): string[] {
  if (name === '') return []
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1).replace(/^"(.*)"$/, '$1'))
}

function only(values: readonly string[], what: string, challenge: Challenge): string | undefined {
  if (values.length > 1) {
    const message = `The request has more than one ${what}.`
    throw new HttpError(400, 'invalid_request', message, {
      headers: {
        'www-authenticate': challenge({ error: 'invalid_request', error_description: message }),
      },
    })
  }
  return values[0] || undefined
}
