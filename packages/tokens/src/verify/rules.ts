import type { KeyFinder } from '../keys/key-finder.ts'
import type { TokenLibrary } from '../libraries/library.ts'

/** Any subject, as long as there is one: whoever asks decides by the claims. */
export const anySubject: unique symbol = Symbol('any subject')
/** Any subject or none: for tokens that speak for nobody in particular. */
export const optionalSubject: unique symbol = Symbol('any subject or none')

interface IdentityRules {
  /** The issuers whose tokens are good; compared exactly (RFC 7519 §4.1.1). */
  readonly issuer: string | readonly string[]
  /** This verifier's own name; compared exactly (RFC 7519 §4.1.3). */
  readonly audience: string
  /** `single` (default): `aud` is this text and nothing else. `contains`: it may be a list that has it. */
  readonly audienceList?: 'single' | 'contains'
  readonly subject: string | typeof anySubject | typeof optionalSubject
  readonly keys: KeyFinder
  /**
   * Media types that the header's `typ` may name (RFC 8725 §3.11), `JWT` and `at+jwt` by default. A token without
   * `typ` is a plain `JWT`.
   */
  readonly typ?: readonly string[]
  /** `refused` (default) or `ignored`: a header with `jku`, `x5u`, `jwk` or `x5c`. They are never used (RFC 8725 §3.10). */
  readonly embeddedKeys?: 'refused' | 'ignored'
  /** How many seconds two clocks may differ; 0 by default, 60 at most. */
  readonly leewaySeconds?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly library?: TokenLibrary
}

type ExpiryRules =
  | {
      readonly expiry?: 'required'
      /** The longest `exp` − `iat` in seconds; without `iat`, the longest `exp` − now. */
      readonly maxLifetimeSeconds: number
    }
  | {
      /** A token without `exp` never ends by itself: only for a caller who ends it otherwise. */
      readonly expiry: 'optional'
      readonly maxLifetimeSeconds?: number
    }

/** What a token must be to be good here. What protects is required, so that nobody forgets it. */
export type VerificationRules = IdentityRules & ExpiryRules

/** More would hide a broken clock instead of forgiving a slow one. */
const MAX_LEEWAY_SECONDS = 60

/**
 * Refuses rules that would let anything pass; a mistake of the programmer, not of the caller.
 * @throws {TypeError}
 */
export function assertRules(rules: VerificationRules): void {
  const { issuer, audience, subject, maxLifetimeSeconds, leewaySeconds = 0 } = rules
  const issuers = typeof issuer === 'string' ? [issuer] : issuer
  if (!Array.isArray(issuers) || issuers.length === 0 || !issuers.every(isText))
    throw new TypeError('The rules need an issuer.')
  if (!isText(audience)) throw new TypeError('The rules need an audience.')
  if (subject !== anySubject && subject !== optionalSubject && !isText(subject))
    throw new TypeError('The rules need a subject, or anySubject.')
  if (typeof rules.keys !== 'function') throw new TypeError('The rules need keys.')
  if (maxLifetimeSeconds === undefined ? rules.expiry !== 'optional' : !(maxLifetimeSeconds > 0))
    throw new TypeError('The rules need maxLifetimeSeconds, more than 0.')
  if (!(leewaySeconds >= 0 && leewaySeconds <= MAX_LEEWAY_SECONDS))
    throw new TypeError(`leewaySeconds is between 0 and ${MAX_LEEWAY_SECONDS}.`)
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
