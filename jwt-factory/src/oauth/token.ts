import { type Caller, callerOf } from '@hallpass/callers'
import { badRequest, type Handler, HttpError, sendJson } from '@hallpass/service-kit'
import type { Request } from 'express'
import { askedBy } from '../audit/index.ts'
import type { Config } from '../config.ts'
import { KEY_ID } from '../keys/index.ts'
import { parameter, parameters } from './oauth-endpoint.ts'
import type { IssueToken } from './token-issuer.ts'

/** RFC 6749 appendix A.4 */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/
/** RFC 3986 §4.3: an absolute URI has a scheme and no fragment. Only visible ASCII, so that it is compared as it is sent. */
const ABSOLUTE_URI = /^[a-z][a-z0-9+.-]*:[\x21\x22\x24-\x7e]+$/i

/**
 * `POST /token` (RFC 6749 §4.4): issues an access token (RFC 9068) to an authenticated client, for one audience. The client
 * gets what the trusted-callers file grants it, as at `/issueToken`. In development mode, `client_id` names the client.
 */
export function token(issue: IssueToken, { tokenLifetimeSeconds }: Config): Handler {
  return async (request, response) => {
    const caller = callerOf(request)
    const keyId = caller ? keyIdOf(caller) : namedClient(request)
    const grantType = parameter(request, 'grant_type')
    if (grantType === undefined) throw badRequest('invalid_request', 'The form must contain a grant_type.')
    if (grantType !== 'client_credentials')
      throw badRequest('unsupported_grant_type', 'The only grant_type is client_credentials.')
    const scope = scopeOf(request)
    const accessToken = await issue({
      keyId,
      caller,
      by: askedBy(request),
      claims: { aud: audienceOf(request, caller), ...(scope === undefined ? {} : { scope }) },
      more: { client_id: keyId },
      typ: 'at+jwt',
    }).catch((error: unknown) => {
      throw withoutKey(error, caller)
    })
    // RFC 6749 §5.1 requires both.
    response.setHeader('cache-control', 'no-store').setHeader('pragma', 'no-cache')
    sendJson(response, 200, {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: tokenLifetimeSeconds,
      ...(scope === undefined ? {} : { scope }),
    })
  }
}

/** Returns the key ID of a client, which is its name in the tokens that it gets. */
function keyIdOf({ keyId, subject }: Caller): string {
  if (keyId !== undefined) return keyId
  throw badRequest(
    'unauthorized_client',
    `${subject} gets no tokens. Give it a keyId in TRUSTED_CALLERS_FILE.`,
  )
}

/** Returns the client of a request in development mode, where none authenticates. */
function namedClient(request: Request): string {
  const clientId = parameter(request, 'client_id')
  if (clientId !== undefined && KEY_ID.test(clientId)) return clientId
  throw unknownClient('In development mode, the form must contain a client_id: the key ID.')
}

/** A client without a key is unknown in development mode; elsewhere it is known, but cannot get tokens yet. */
function withoutKey(error: unknown, caller: Caller | undefined): unknown {
  if (!(error instanceof HttpError) || error.code !== 'key_not_found') return error
  return caller
    ? badRequest('unauthorized_client', error.message, error)
    : unknownClient(error.message, error)
}

const unknownClient = (message: string, cause?: unknown) =>
  new HttpError(401, 'invalid_client', message, { cause, headers: { 'www-authenticate': 'Bearer' } })

function scopeOf(request: Request): string | undefined {
  const scope = parameter(request, 'scope')
  if (scope !== undefined && !SCOPE.test(scope))
    throw badRequest('invalid_scope', 'scope must be a list of names, separated by single spaces.')
  return scope
}

/**
 * Returns the one audience of the token: `resource`, an absolute URI (RFC 8707 §2) or the key ID of a service, or `audience`,
 * any name (RFC 8693 §2.1), or else the only audience that the caller may have.
 */
function audienceOf(request: Request, caller: Caller | undefined): string {
  const resources = parameters(request, 'resource')
  const wanted = [...resources, ...parameters(request, 'audience')]
  if (wanted.length > 1)
    throw badRequest('invalid_target', 'A token has exactly one audience. Send one resource or one audience.')
  for (const resource of resources)
    if (!KEY_ID.test(resource) && !(ABSOLUTE_URI.test(resource) && URL.canParse(resource)))
      throw badRequest(
        'invalid_target',
        'resource must be an absolute URI without a fragment (RFC 8707 §2), or the key ID of a service.',
      )
  const [only] = wanted.length > 0 ? wanted : caller?.audiences?.length === 1 ? caller.audiences : []
  if (only === undefined)
    throw badRequest('invalid_target', 'The token needs an audience: send resource or audience.')
  return only
}
