import {
  algorithm,
  type CheckDefinition,
  critical,
  expiry,
  form,
  issuedAt,
  notBefore,
  type RuleSet,
  SCHEMES,
  type SignatureAlgorithm,
  signature,
} from '@hallpass/tokens'
import { type Clock, systemClock } from '../clock.ts'
import type { JwtBundleSource } from '../jwt-bundle/index.ts'
import { audience, claims, key, keyId, subject, type } from './checks.ts'
import { type SvidRules, SvidVerification, type ValidatedSvid } from './verification.ts'

/** Tolerated clock skew, the default of other SPIFFE libraries (JWT-SVID §3.3 allows a small leeway). */
export const DEFAULT_LEEWAY_SECONDS = 60

export interface ParseOptions {
  readonly clock?: Clock
  readonly leewaySeconds?: number
}

/** The algorithms of JWT-SVID §2.1: no `none`, no HMAC, no EdDSA. */
const SVID_ALGORITHMS = (Object.keys(SCHEMES) as SignatureAlgorithm[]).filter((alg) => alg !== 'EdDSA')

/** The checks for a JWT-SVID (JWT-SVID §5), in go-spiffe's order, so that both report the same reason. */
export const SVID_CHECKS: readonly CheckDefinition<SvidVerification>[] = [
  form,
  algorithm,
  critical,
  keyId,
  type,
  claims,
  subject,
  key,
  signature,
  audience,
  notBefore,
  expiry,
  issuedAt,
]

/** All checks except those that need a bundle. */
const UNSIGNED_CHECKS = SVID_CHECKS.filter((check) => check !== key && check !== signature)

/**
 * Makes the rule set for JWT-SVIDs of the trust domains in `bundles`.
 * @param audience the validator's audiences, at least one; the token must contain one of them
 * @throws TypeError without an audience, because tokens meant for others would be accepted
 */
export function svidRules(
  bundles: JwtBundleSource,
  audience: string | readonly string[],
  { clock = systemClock, leewaySeconds = DEFAULT_LEEWAY_SECONDS }: ParseOptions = {},
): RuleSet<ValidatedSvid, SvidVerification> {
  const expectedAudience = typeof audience === 'string' ? [audience] : audience
  if (expectedAudience.length === 0 || expectedAudience.includes(''))
    throw new TypeError('An audience is required: without one, tokens meant for others would be accepted.')
  const rules: SvidRules = {
    algorithms: SVID_ALGORITHMS,
    bundles,
    expectedAudience,
    clock,
    leewaySeconds,
    // As in go-spiffe.
    validAtExpiry: true,
  }
  return {
    checks: SVID_CHECKS,
    begin: (token, remembered) => new SvidVerification(token, rules, remembered),
  }
}

/** Makes the same rules as {@link svidRules}, but without verifying the signature. */
export function unsignedSvidRules(
  audience: string | readonly string[],
  options: ParseOptions,
): RuleSet<ValidatedSvid, SvidVerification> {
  const noBundles: JwtBundleSource = {
    getJwtBundle: () => {
      throw new TypeError('These rules do not verify signatures.')
    },
  }
  return { ...svidRules(noBundles, audience, options), checks: UNSIGNED_CHECKS }
}
