import { createHash } from 'node:crypto'
import { type Clock, challenge, HttpError, observeVerification } from '@hallpass/service-kit'
import {
  anySubject,
  type Claims,
  cachedVerifier,
  type KeyFinder,
  optionalSubject,
  parseCompact,
  TokenError,
  type VerifiedToken,
} from '@hallpass/tokens'
import { unavailable } from '../http/index.ts'
import type { Grant } from './grant.ts'
import type { Revocations } from './revocations.ts'

/** An issuer whose tokens open a path. */
export interface TrustedIssuer {
  readonly issuer: string
  readonly audience: string
  readonly keys: KeyFinder
}

export interface AuthorizationRules {
  readonly issuers: readonly TrustedIssuer[]
  /** All must be among the token's roles. */
  readonly scopes: readonly string[]
  /** Where the roles are: the name of a claim, or else a path into nested claims, `realm_access.roles`. */
  readonly rolesClaim: string
  /** `optional`: a token may be without `exp`; its streams end at their greatest age. */
  readonly expiry: 'required' | 'optional'
  /** `required`: a token must say for whom it speaks. */
  readonly subject: 'required' | 'optional'
  readonly maxLifetimeSeconds: number
}

/** Decides whether a token opens a path. */
export class Authorizer {
  readonly #rules: AuthorizationRules
  readonly #realm: string
  readonly #revocations: Revocations
  /**
   * By issuer. A page opens several streams with one token, and a browser comes back with that of its URL: then the
   * signature is known, and all else is checked again.
   */
  readonly #verifiers: ReadonlyMap<string, (token: string) => Promise<VerifiedToken>>

  constructor(rules: AuthorizationRules, realm: string, revocations: Revocations, clock: Clock) {
    this.#rules = rules
    this.#realm = realm
    this.#revocations = revocations
    const { expiry, subject, maxLifetimeSeconds } = rules
    this.#verifiers = new Map(
      rules.issuers.map(({ issuer, audience, keys }) => [
        issuer,
        cachedVerifier({
          issuer,
          audience,
          // Tokens for several APIs are common where a login makes them; the scope says what this one is good for.
          audienceList: 'contains',
          subject: subject === 'required' ? anySubject : optionalSubject,
          keys,
          expiry,
          maxLifetimeSeconds,
          clock,
        }),
      ]),
    )
  }

  /**
   * @throws {HttpError} 401 `invalid_token` for a token that is not good (any more), 403 `insufficient_scope` for one
   * that is not good for this (RFC 6750 §3.1), 503 when the issuer's keys cannot be had.
   */
  async authorize(token: string): Promise<Grant> {
    const { claims } = await this.#verify(token)
    const grant = grantOf(claims, token, this.#rules.rolesClaim)
    this.refuseRevoked(grant)
    const { scopes } = this.#rules
    if (scopes.some((scope) => !grant.roles.includes(scope))) {
      const scope = scopes.join(' ')
      throw new HttpError(403, 'insufficient_scope', `The token needs the scope ${scope}.`, {
        headers: { 'www-authenticate': challenge(this.#realm, { error: 'insufficient_scope', scope }) },
      })
    }
    return grant
  }

  /**
   * To be asked again by whoever has waited for something since: a revocation may have come meanwhile.
   * @throws {HttpError} 401
   */
  refuseRevoked(grant: Grant): void {
    if (this.#revocations.cover(grant)) throw this.#invalidToken('token revoked')
  }

  async #verify(token: string): Promise<VerifiedToken> {
    try {
      return await observeVerification(token, () => this.#verifyOnce(token))
    } catch (error) {
      if (error instanceof TokenError) throw this.#invalidToken(error.message, error)
      throw unavailable(503, 'keys_unavailable', "The issuer's keys are not available.", error)
    }
  }

  /** By the rules of the issuer that the token names, whoever made it; an unknown one fails the check of the first. */
  #verifyOnce(token: string): Promise<VerifiedToken> {
    const [first] = this.#verifiers.values()
    if (!first) throw new Error('There is no issuer.')
    if (this.#verifiers.size === 1) return first(token)
    return (this.#verifiers.get(String(parseCompact(token).payload.iss)) ?? first)(token)
  }

  #invalidToken(message: string, cause?: TokenError): HttpError {
    return new HttpError(401, 'invalid_token', message, {
      cause,
      headers: {
        'www-authenticate': challenge(this.#realm, { error: 'invalid_token', error_description: message }),
      },
    })
  }
}

/** Enough of a hash to tell tokens apart, too little to find one. */
const TOKEN_ID_LENGTH = 12

function grantOf(claims: Claims, token: string, rolesClaim: string): Grant {
  const { iss, sub, exp, iat, jti, sid } = claims
  const id = textOrUndefined(jti)
  return {
    issuer: String(iss),
    subject: textOrUndefined(sub),
    expiresAt: typeof exp === 'number' ? exp * 1000 : Number.POSITIVE_INFINITY,
    roles: rolesIn(claims, rolesClaim),
    jti: id,
    session: textOrUndefined(sid),
    tokenId:
      id ?? `sha256:${createHash('sha256').update(token).digest('base64url').slice(0, TOKEN_ID_LENGTH)}`,
    issuedAt: typeof iat === 'number' ? iat * 1000 : undefined,
  }
}

/** A list, or a text of words (RFC 8693 §4.2), under a claim's full name or else along a path of names. */
function rolesIn(claims: Claims, name: string): string[] {
  let value: unknown = Object.hasOwn(claims, name) ? claims[name] : claims
  if (value === claims)
    for (const step of name.split('.'))
      value =
        typeof value === 'object' && value !== null && Object.hasOwn(value, step)
          ? (value as Claims)[step]
          : undefined
  if (Array.isArray(value)) return value.filter((item): item is string => typeof item === 'string')
  return typeof value === 'string' ? value.split(/\s+/).filter(Boolean) : []
}

const textOrUndefined = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
