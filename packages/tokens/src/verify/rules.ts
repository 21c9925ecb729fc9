import type { KeyFinder, SignatureAlgorithm } from '../keys/index.ts'
import type { TokenLibrary } from '../libraries/index.ts'
import type { StatusLists } from '../status-list/index.ts'

/** Accepts any subject, but requires one: the caller decides by the claims. */
export const anySubject: unique symbol = Symbol('any subject')
/** Accepts any subject or none, for tokens that need no subject. */
export const optionalSubject: unique symbol = Symbol('any subject or none')

/**
 * The kind of token that a verifier accepts from an issuer of several kinds. An ID token is for the client that logged the
 * user in; taken for an access token it would grant that client's audience, and the reverse would log in whoever holds an
 * access token (RFC 9068 §5, RFC 8725 §3.12).
 *
 * - `any`: the issuer issues only one kind.
 * - `at+jwt`: access tokens with this `typ` (RFC 9068 §2.1).
 * - `scoped`: these, and access tokens with the `typ` `JWT` or none that have a `scope` or `scp` claim and no mark of another
 *   kind. ID tokens have no scope.
 * - `claim`: these, and tokens with this claim, by which the provider marks access tokens.
 * - `id`: ID tokens.
 */
export type TokenUse = 'any' | 'at+jwt' | 'scoped' | 'id' | { readonly claim: string; readonly value: string }

interface IdentityRules {
  /** The trusted issuers; compared exactly (RFC 7519 §4.1.1). */
  readonly issuer: string | readonly string[]
  /** This verifier's own name; compared exactly (RFC 7519 §4.1.3). */
  readonly audience: string
  /**
   * `none` (default): `aud` must be exactly this string. `single`: it can also be a list of this string alone, which some providers
   * send. `contains`: it can also be a list that contains it.
   */
  readonly audienceList?: 'none' | 'single' | 'contains'
  readonly subject: string | typeof anySubject | typeof optionalSubject
  readonly keys: KeyFinder
  /**
   * The accepted values of the header's `typ` (RFC 8725 §3.11), by default `JWT` and `at+jwt`. A token without `typ` is
   * treated as `JWT`.
   */
  readonly typ?: readonly string[]
  /** The kind of token, for an issuer that issues several with the same audience; by default `any`. */
  readonly tokenUse?: TokenUse
  /** The algorithms that a header is allowed to name; by default `ALGORITHMS`. */
  readonly algorithms?: readonly SignatureAlgorithm[]
  /** Whether a header with `jku`, `x5u`, `jwk` or `x5c` is rejected. These keys are never used (RFC 8725 §3.10). */
  readonly embeddedKeys?: 'refused' | 'ignored'
  /** Tolerated clock skew in seconds; 0 by default, at most 60. */
  readonly leewaySeconds?: number
  /**
   * Tolerated clock skew in seconds for `exp`; by default `leewaySeconds`. 0 for what ends at `exp` by this clock, such as
   * a stream.
   */
  readonly expiryLeewaySeconds?: number
  /** The maximum length in characters; by default 8 KiB, as much as servers accept in a header. */
  readonly maxTokenLength?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly library?: TokenLibrary
  /** The statuses of the issuer's tokens: a token that is revoked, or whose status is unknown, is rejected. */
  readonly statusList?: StatusLists
}

type ExpiryRules =
  | {
      readonly expiry?: 'required'
      /** The maximum `exp` − `iat` in seconds; without `iat`, the maximum `exp` − now. */
      readonly maxLifetimeSeconds: number
    }
  | {
      /** A token without `exp` never expires: use this only if it can be revoked in another way. */
      readonly expiry: 'optional'
      readonly maxLifetimeSeconds?: number
    }

/** The rules that a valid token must meet. Rules that protect the verifier are required, so they cannot be forgotten. */
export type VerificationRules = IdentityRules & ExpiryRules

/** More would hide a broken clock. */
const MAX_LEEWAY_SECONDS = 60

/**
 * Checks that the rules are complete; otherwise any token could pass.
 * @throws {TypeError} a programming error, not a bad token.
 */
export function assertRules(rules: VerificationRules): void {
  const { issuer, audience, subject, maxLifetimeSeconds, leewaySeconds = 0, expiryLeewaySeconds = 0 } = rules
  const issuers = typeof issuer === 'string' ? [issuer] : issuer
  if (!Array.isArray(issuers) || issuers.length === 0 || !issuers.every(isText))
    throw new TypeError('The rules need an issuer.')
  if (!isText(audience)) throw new TypeError('The rules need an audience.')
  if (subject !== anySubject && subject !== optionalSubject && !isText(subject))
    throw new TypeError('The rules need a subject, or anySubject.')
  if (typeof rules.keys !== 'function') throw new TypeError('The rules need keys.')
  if (maxLifetimeSeconds === undefined ? rules.expiry !== 'optional' : !(maxLifetimeSeconds > 0))
    throw new TypeError('The rules need a maxLifetimeSeconds greater than 0.')
  if (!(leewaySeconds >= 0 && leewaySeconds <= MAX_LEEWAY_SECONDS))
    throw new TypeError(`leewaySeconds must be between 0 and ${MAX_LEEWAY_SECONDS}.`)
  if (!(expiryLeewaySeconds >= 0 && expiryLeewaySeconds <= MAX_LEEWAY_SECONDS))
    throw new TypeError(`expiryLeewaySeconds must be between 0 and ${MAX_LEEWAY_SECONDS}.`)
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
