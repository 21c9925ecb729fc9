import { createHash } from 'node:crypto'
import {
  type Clock,
  HttpError,
  isTokenRefusal,
  observeVerification,
  scopesOf,
  type TokenRefusal,
} from '@hallpass/service-kit'
import {
  type Claims,
  isBoundToKey,
  type KeyIdentity,
  otherKindOf,
  parseCompact,
  thumbprint,
  type VerificationKey,
} from '@hallpass/tokens'
import type { Grant } from './grant.ts'
import {
  type IssuerVerifier,
  isOpaque,
  issuerOfOpaque,
  issuerVerifier,
  type TokenRules,
  type TrustedIssuer,
  type VerifiedBearer,
  type VerifyOptions,
} from './issuer-verifier.ts'
import type { Challenge } from './protected-resources.ts'
import type { Revocations } from './revocations.ts'
import { type TopicPermissions, type TopicsRule, topicPermissionsIn } from './topics/index.ts'

export interface AuthorizationRules extends TokenRules {
  readonly issuers: readonly TrustedIssuer[]
  /** The token's roles must include all of these. */
  readonly scopes: readonly string[]
  /** Where the token's roles are: the name of a claim or a path into nested claims, such as `realm_access.roles`. */
  readonly rolesClaim: string
  /** Where the token's topics are; undefined if they do not matter. */
  readonly topics?: TopicsRule | undefined
  /** `required` rejects tokens without `iat`, so that it is known when the last token issued before a revocation expires. */
  readonly issuedAt: 'required' | 'optional'
}

/** Verifies a token and returns what it grants; see {@link Authorizer.authorize}. */
export interface TokenAuthorizer {
  authorize(token: string): Promise<Grant>
}

/** Verifies tokens and checks whether they allow access to a path. */
export class Authorizer implements TokenAuthorizer {
  readonly #rules: AuthorizationRules
  readonly #challenge: Challenge
  readonly #revocations: Pick<Revocations, 'cover'>
  readonly #clock: Clock
  readonly #verifiers: ReadonlyMap<string, IssuerVerifier>
  /** The issuer that is asked about opaque tokens. */
  readonly #ofOpaque: string | undefined

  constructor(
    rules: AuthorizationRules,
    challenge: Challenge,
    revocations: Pick<Revocations, 'cover'>,
    clock: Clock,
  ) {
    this.#rules = rules
    this.#challenge = challenge
    this.#revocations = revocations
    this.#clock = clock
    this.#verifiers = new Map(
      rules.issuers.map((trusted) => [trusted.issuer, issuerVerifier(trusted, rules, clock)]),
    )
    this.#ofOpaque = issuerOfOpaque(rules.issuers)
  }

  /**
   * Verifies a token and returns what it grants.
   * @throws {HttpError} 401 `invalid_token` for an invalid, expired or revoked token, 403 `insufficient_scope` for one without
   * the scope (RFC 6750 §3.1), 502 if the issuer's key set or answer is rejected, 503 if it is unavailable, if the token's key is
   * unknown and cannot be loaded yet, or if the revocations are not loaded.
   */
  async authorize(token: string): Promise<Grant> {
    const grant = await this.#authorize(token, {})
    if (!grant.signer) confirmations.set(grant, () => this.#confirm(grant, token))
    return grant
  }

  async #authorize(token: string, how: VerifyOptions): Promise<Grant> {
    const verifiedAt = this.#clock()
    const { claims, key } = await this.#verify(token, how)
    const { issuedAt, rolesClaim, scopes } = this.#rules
    const grant = {
      ...grantOf(claims, token, rolesClaim, this.#clock()),
      signer: key && identityOf(key),
      verifiedAt,
      topics: this.#topicsIn(claims),
    }
    if (issuedAt === 'required' && grant.issuedAt === undefined) throw this.#invalidToken('jwt iat required')
    this.refuseRevoked(grant)
    if (scopes.some((scope) => !grant.roles.includes(scope))) throw this.#insufficientScope()
    return grant
  }

  #topicsIn(claims: Claims): TopicPermissions | undefined {
    const { topics } = this.#rules
    try {
      return topics && topicPermissionsIn(claimAt(claims, topics.claim), topics)
    } catch (error) {
      throw this.#invalidToken((error as Error).message)
    }
  }

  async #confirm({ expiresAt }: Grant, token: string): Promise<boolean> {
    try {
      await this.#authorize(token, { fresh: true })
      return true
    } catch (error) {
      // Neither an issuer that is unavailable nor the expiry, at which a stream closes anyway, is a revocation.
      const isRejected = error instanceof HttpError && (error.status === 401 || error.status === 403)
      return !isRejected || this.#clock() >= expiresAt
    }
  }

  /** Whether a token names an issuer of these rules; the token is not verified. */
  trustsIssuerOf(token: string): boolean {
    if (isOpaque(token)) return this.#ofOpaque !== undefined
    try {
      return this.#verifiers.has(String(parseCompact(token).payload.iss))
    } catch {
      return false
    }
  }

  /**
   * Checks whether a grant has been revoked. Call it again after waiting: a revocation may have arrived meanwhile.
   * @throws {HttpError} 401 if it is revoked, 503 `revocations_unknown` if that is not known yet
   */
  refuseRevoked(grant: Grant): void {
    if (this.#revocations.cover(grant)) throw this.#invalidToken('token revoked')
  }

  /**
   * Returns the grant of a ticket. Its token was verified when the ticket was issued, and may have expired or been revoked since.
   * @throws {HttpError} 401 `invalid_ticket`, always the same, so that guessing reveals nothing; 503 `revocations_unknown` if
   * it is not known yet whether the token is revoked
   */
  acceptTicket(grant: Grant | undefined): Grant {
    if (grant && grant.expiresAt > this.#clock() && !this.#revocations.cover(grant)) return grant
    throw this.#unauthorized(
      'invalid_ticket',
      'The ticket is unknown, used or expired. Request another from POST /tickets.',
    )
  }

  /** Returns since when the key of a grant is known to be withdrawn; undefined if it is not. Never rejects. */
  async withdrawnAt({ issuer, signer }: Grant): Promise<number | undefined> {
    const source = this.#rules.issuers.find((trusted) => trusted.issuer === issuer)?.source
    return signer && source && 'keys' in source ? source.keys.withdrawnAt?.(issuer, signer) : undefined
  }

  async #verify(token: string, how: VerifyOptions): Promise<VerifiedBearer> {
    try {
      return await observeVerification(token, () => this.#verifyOnce(token, how))
    } catch (error) {
      if (!isTokenRefusal(error)) throw error
      throw this.#lacksOnlyScope(token, error)
        ? this.#insufficientScope(error)
        : this.#invalidToken(error.message, error)
    }
  }

  /** Verifies with the rules of the issuer in the token's unverified `iss`; an unknown issuer fails the first issuer's check. */
  #verifyOnce(token: string, how: VerifyOptions): Promise<VerifiedBearer> {
    const [first] = this.#verifiers.values()
    if (!first) throw new Error('no issuer is configured')
    if (this.#verifiers.size === 1) return first(token, how)
    const isAsked = this.#ofOpaque !== undefined && isOpaque(token)
    const issuer = isAsked ? this.#ofOpaque : parseCompact(token).payload.iss
    return (this.#verifiers.get(String(issuer)) ?? first)(token, how)
  }

  /**
   * Whether a JWT has been verified except that it has no scope, which is a matter of rights and not of its validity. One that is
   * bound to a key is not a bearer token, with or without a scope.
   */
  #lacksOnlyScope(token: string, { reason }: TokenRefusal): boolean {
    const { rolesClaim, scopes, issuers } = this.#rules
    if (reason !== 'use_not_allowed' || rolesClaim !== SCOPE || scopes.length === 0 || isOpaque(token))
      return false
    const { payload } = parseCompact(token)
    const trusted = issuers.find(({ issuer }) => issuer === payload.iss)
    return (
      trusted?.tokenUse === 'scoped' &&
      'keys' in trusted.source &&
      otherKindOf(payload) === undefined &&
      !isBoundToKey(payload)
    )
  }

  #insufficientScope(cause?: Error): HttpError {
    const scope = this.#rules.scopes.join(' ')
    return new HttpError(403, 'insufficient_scope', `The token needs the scope ${scope}.`, {
      cause,
      headers: { 'www-authenticate': this.#challenge({ error: 'insufficient_scope', scope }) },
    })
  }

  #invalidToken(message: string, cause?: Error): HttpError {
    return this.#unauthorized('invalid_token', message, cause)
  }

  #unauthorized(code: string, message: string, cause?: Error): HttpError {
    return new HttpError(401, code, message, {
      cause,
      headers: {
        'www-authenticate': this.#challenge({ error: 'invalid_token', error_description: message }),
      },
    })
  }
}

/**
 * Accepts the tokens that any of the authorizers accepts, tried in order. If all of those that trust the token's issuer reject
 * it, the error with the highest status is thrown, because 403 means that one has verified it.
 */
export const authorizerOfAny = (authorizers: readonly Authorizer[]): TokenAuthorizer => ({
  async authorize(token) {
    const trusting = authorizers.filter((authorizer) => authorizer.trustsIssuerOf(token))
    let failure: HttpError | undefined
    // The first one rejects a token of an unknown issuer.
    for (const authorizer of trusting.length > 0 ? trusting : authorizers.slice(0, 1)) {
      try {
        return await authorizer.authorize(token)
      } catch (error) {
        if (!(error instanceof HttpError)) throw error
        if (!failure || error.status > failure.status) failure = error
      }
    }
    throw failure
  },
})

/** By grant, so that a token is in memory only as long as what it grants, and in no message to another gateway. */
const confirmations = new WeakMap<Grant, () => Promise<boolean>>()

/**
 * Returns a function that asks the issuer again about the token of a grant, and resolves to false if it is no longer accepted;
 * it never rejects. Undefined for a JWT that was verified here, and for a grant from another gateway.
 */
export const confirmationOf = (grant: Grant): (() => Promise<boolean>) | undefined => confirmations.get(grant)

const identities = new WeakMap<VerificationKey, KeyIdentity>()

/** Computed once for a key, because a thumbprint takes 40 µs; streams are grouped by this object. */
function identityOf(key: VerificationKey): KeyIdentity {
  const known = identities.get(key) ?? { kid: key.kid, thumbprint: thumbprint(key.publicKey) }
  identities.set(key, known)
  return known
}

/** Long enough to distinguish tokens in a log, too short to search for one. */
const TOKEN_ID_LENGTH = 12

function grantOf(
  claims: Claims,
  token: string,
  rolesClaim: string,
  now: number,
): Omit<Grant, 'signer' | 'verifiedAt'> {
  const { iss, sub, exp, iat, jti, sid } = claims
  const id = textOrUndefined(jti)
  const hash = id === undefined ? createHash('sha256').update(token).digest('base64url') : ''
  return {
    issuer: String(iss),
    subject: textOrUndefined(sub),
    expiresAt: typeof exp === 'number' ? exp * 1000 : Number.POSITIVE_INFINITY,
    roles: rolesIn(claims, rolesClaim),
    // An opaque token is revoked by its hash, if the issuer gives it no ID.
    jti: id ?? (isOpaque(token) ? `sha256:${hash}` : undefined),
    session: textOrUndefined(sid),
    tokenId: id ?? `sha256:${hash.slice(0, TOKEN_ID_LENGTH)}`,
    // A token that is here was issued, whatever the issuer's clock says: a later revocation covers its stream.
    issuedAt: typeof iat === 'number' ? Math.min(iat * 1000, now) : undefined,
  }
}

/** The claim of scopes; some issuers write them into `scp` instead. */
const SCOPE = 'scope'

/** Returns roles from a list or a space-separated string (RFC 8693 §4.2), in the claim `name` or else at the path `name`. */
function rolesIn(claims: Claims, name: string): string[] {
  if (name === SCOPE) return scopesOf(claims)
  const value = claimAt(claims, name)
  if (Array.isArray(value)) return value.filter((item): item is string => typeof item === 'string')
  return typeof value === 'string' ? value.split(/\s+/).filter(Boolean) : []
}

/** Returns the value of the claim `name` or else at the path `name`. */
function claimAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const step of name.split('.'))
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Claims)[step]
        : undefined
  return value
}

const textOrUndefined = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
