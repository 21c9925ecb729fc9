import type { Caller } from '@hallpass/callers'
import { badRequest, type JsonObject, scopesOf } from '@hallpass/service-kit'
import { parseCompact, SigningError } from '@hallpass/tokens'
import { type AuditLog, type askedBy, factsOf } from '../audit/index.ts'
import type { Config } from '../config.ts'
import type { KeyStore } from '../keys/index.ts'
import type { FactoryMetrics } from '../monitoring/index.ts'
import type { StatusLists } from '../status/index.ts'

/** What a caller wants a token for. */
export interface WantedToken {
  /** The key that signs it; checked to be the caller's. */
  readonly keyId: string
  /** Undefined in development mode, where any claim may be set. */
  readonly caller: Caller | undefined
  /** Who asked, for the audit log. */
  readonly by: ReturnType<typeof askedBy>
  readonly claims: JsonObject
  /** Claims that the endpoint sets, after the requested ones have been checked. */
  readonly more?: JsonObject
  readonly lifetimeSeconds?: number
  /** The header's `typ`; `JWT` by default. */
  readonly typ?: string
}

/**
 * Signs a token with the claims that its caller may have.
 * @throws {HttpError} 404 `key_not_found`, or 400 for a claim, audience or scope that the caller may not have
 */
export type IssueToken = (wanted: WantedToken) => Promise<string>

/** Creates the one issuer of tokens, with the same grants for every endpoint. */
export function tokenIssuer(
  keys: Pick<KeyStore, 'existing' | 'sign'>,
  { issuer, tokenLifetimeSeconds, library }: Config,
  metrics: Pick<FactoryMetrics, 'issued' | 'signatureFailed'>,
  audit: Pick<AuditLog, 'record'>,
  statuses?: Pick<StatusLists, 'claims'>,
): IssueToken {
  return async ({ keyId, caller, by, claims, more, lifetimeSeconds = tokenLifetimeSeconds, typ }) => {
    await keys.existing(keyId)
    const { exp: _, iat: __, nbf: ___, jti: ____, ...asked } = claims
    const granted = caller ? grantedClaims(asked, caller) : documentedClaims(asked)
    const all = { iss: issuer, sub: keyId, ...granted, ...more, ...(await statuses?.claims()) }
    const token = await keys
      .sign(keyId, all, { lifetimeSeconds, library, ...(typ ? { typ } : {}) })
      .catch((error: unknown) => {
        metrics.signatureFailed(error)
        return rejectTooLarge(error)
      })
    metrics.issued(keyId)
    const { header, payload } = parseCompact(token)
    await audit.record({ action: 'issued', ...by, keyId, kid: header.kid as string, ...factsOf(payload) })
    return token
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

function rejectTooLarge(error: unknown): never {
  if (error instanceof SigningError) throw badRequest('claims_too_large', error.message, error)
  throw error
}
