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

/**
 * `POST /issueToken/:keyId`: issues a token with the claims of the body, signed with the key of the key ID. Only the issuer
 * sets `exp`, `iat`, `nbf` and `jti`. With `?expired=1`, the token expired an hour ago, to demonstrate its rejection.
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
      throw new HttpError(
        403,
        'not_your_key',
        `${caller.subject} is not allowed to get tokens signed as ${keyId}.`,
      )
    const ring = keys.existing(keyId)
    const { exp: _, iat: __, nbf: ___, jti: ____, ...asked } = request.body as JsonObject
    const claims = caller
      ? { iss: issuer, sub: keyId, ...grantedClaims(asked, caller) }
      : { iss: issuer, sub: keyId, ...documentedClaims(asked) }
    const token = await ring
      .sign(claims, wantsExpired(request) ? -tokenLifetimeSeconds : tokenLifetimeSeconds, library)
      .catch(rejectTooLarge)
    issued.inc({ key_id: keyId })
    // RFC 6749 §5.1
    response.setHeader('cache-control', 'no-store')
    sendText(response, 200, token)
  }
}

/** In development mode the body may set any claim, as documented; verifiers must check the claims. */
function documentedClaims(asked: JsonObject): JsonObject {
  for (const name of ['iss', 'sub'])
    if (asked[name] !== undefined && (typeof asked[name] !== 'string' || asked[name] === ''))
      throw badRequest('invalid_claim', `The claim ${name} must be a string (RFC 7519 §4.1).`)
  return asked
}

/**
 * Checks the claims that an authenticated caller may get: one audience (RFC 8707 §2, RFC 9700 §2.3), always its own
 * subject, and only the other claims that the trusted-callers file allows.
 */
function grantedClaims({ iss: _, sub, ...asked }: JsonObject, caller: Caller): JsonObject {
  if (typeof asked.aud !== 'string' || asked.aud === '')
    throw badRequest('invalid_target', 'A token has exactly one audience. Set aud to a string.')
  if (caller.audiences && !caller.audiences.includes(asked.aud))
    throw badRequest(
      'invalid_target',
      `${caller.subject} is not allowed to get tokens for the audience ${asked.aud}.`,
    )
  for (const name of Object.keys(asked))
    if (name !== 'aud' && name !== 'scope' && !caller.claims.includes(name))
      throw badRequest('claim_not_allowed', `${caller.subject} is not allowed to set the claim ${name}.`)
  if (scopesOf(asked).some((scope) => !caller.scopes.includes(scope)) || !isScope(asked.scope))
    throw badRequest('invalid_scope', `${caller.subject} is not allowed to get this scope.`)
  // Only callers with the claim `sub`, such as the auth tier of the token cache, may set another subject.
  return caller.claims.includes('sub') && typeof sub === 'string' && sub !== '' ? { ...asked, sub } : asked
}

const isScope = (scope: unknown) => scope === undefined || typeof scope === 'string'

/** Returns whether the request has `?expired=` with any value except '', 0 and false; the documented example is 123. */
function wantsExpired(request: Request): boolean {
  const { expired } = request.query
  return expired !== undefined && !['', '0', 'false'].includes(String(expired))
}

function rejectTooLarge(error: unknown): never {
  if (error instanceof SigningError) throw badRequest('claims_too_large', error.message, error)
  throw error
}
