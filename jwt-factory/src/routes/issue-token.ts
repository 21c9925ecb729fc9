import { type Caller, callerOf } from '@hallpass/callers'
import {
  badRequest,
  type Counter,
  type Handler,
  HttpError,
  type JsonObject,
  scopesOf,
  sendText,
} from '@hallpass/service-kit'
import { SigningError } from '@hallpass/tokens'
import type { Request } from 'express'
import type { Config } from '../config.ts'
import { keyIdOf } from '../key-id.ts'
import type { KeyStore } from '../key-store.ts'
import { existingRing } from './public-key.ts'

/**
 * `POST /issueToken/:keyId`: signs the claims of the body for the service whose key it is. `exp`, `iat`, `nbf` and
 * `jti` are the issuer's alone. With `?expired=1` the token has expired an hour ago, to see how that is refused.
 */
export function issueToken(
  keys: KeyStore,
  { issuer, tokenLifetimeSeconds, library }: Config,
  issued: Counter<'key_id'>,
): Handler {
  return async (request, response) => {
    const keyId = keyIdOf(request)
    const caller = callerOf(request)
    if (caller && caller.keyId !== keyId)
      throw new HttpError(403, 'not_your_key', `${caller.subject} may not have tokens signed as ${keyId}.`)
    const ring = existingRing(keys, keyId)
    const { exp: _, iat: __, nbf: ___, jti: ____, ...asked } = request.body as JsonObject
    const claims = caller
      ? { iss: issuer, sub: keyId, ...grantedClaims(asked, caller) }
      : { iss: issuer, sub: keyId, ...documentedClaims(asked) }
    const token = await ring
      .sign(claims, wantsExpired(request) ? -tokenLifetimeSeconds : tokenLifetimeSeconds, library)
      .catch(refuseTooLarge)
    issued.inc({ key_id: keyId })
    // RFC 6749 §5.1
    response.setHeader('cache-control', 'no-store')
    sendText(response, 200, token)
  }
}

/** On an open development start the body may say anything, as documented; the verifier is who must be careful. */
function documentedClaims(asked: JsonObject): JsonObject {
  for (const name of ['iss', 'sub'])
    if (asked[name] !== undefined && (typeof asked[name] !== 'string' || asked[name] === ''))
      throw badRequest('invalid_claim', `The claim ${name} must be a text (RFC 7519 §4.1).`)
  return asked
}

/**
 * What an authenticated caller gets: a token for one audience (RFC 8707 §2, RFC 9700 §2.3), in its own name whatever
 * the body says, and of all other claims those that the trust file allows.
 */
function grantedClaims({ iss: _, sub, ...asked }: JsonObject, caller: Caller): JsonObject {
  if (typeof asked.aud !== 'string' || asked.aud === '')
    throw badRequest('invalid_target', 'A token is for exactly one audience: aud must be a text.')
  if (caller.audiences && !caller.audiences.includes(asked.aud))
    throw badRequest('invalid_target', `${caller.subject} may not have tokens for ${asked.aud}.`)
  for (const name of Object.keys(asked))
    if (name !== 'aud' && name !== 'scope' && !caller.claims.includes(name))
      throw badRequest('claim_not_allowed', `${caller.subject} may not ask for the claim ${name}.`)
  if (scopesOf(asked).some((scope) => !caller.scopes.includes(scope)) || !isScope(asked.scope))
    throw badRequest('invalid_scope', `${caller.subject} may not ask for this scope.`)
  // Only who may name subjects, as the issuer of the token cache does for its users, speaks for others.
  return caller.claims.includes('sub') && typeof sub === 'string' && sub !== '' ? { ...asked, sub } : asked
}

const isScope = (scope: unknown) => scope === undefined || typeof scope === 'string'

/** `?expired=123` as in the documented example: any value that does not say no. */
function wantsExpired(request: Request): boolean {
  const { expired } = request.query
  return expired !== undefined && !['', '0', 'false'].includes(String(expired))
}

function refuseTooLarge(error: unknown): never {
  if (error instanceof SigningError) throw badRequest('claims_too_large', error.message, error)
  throw error
}
