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
import type { JwtBundleSource } from '../jwt-bundle/bundle.ts'
import { audience, claims, key, keyId, subject, type } from './checks.ts'
import { type SvidRules, SvidVerification, type ValidatedSvid } from './verification.ts'

/** How far the clocks of two machines may be apart; the value of other SPIFFE libraries (JWT-SVID §3.3 allows a small one). */
export const DEFAULT_LEEWAY_SECONDS = 60

export interface ParseOptions {
  readonly clock?: Clock
  readonly leewaySeconds?: number
}

/** The algorithms of JWT-SVID §2.1: no `none`, no HMAC, no EdDSA. */
const SVID_ALGORITHMS = (Object.keys(SCHEMES) as SignatureAlgorithm[]).filter((alg) => alg !== 'EdDSA')

/** What is checked of a JWT-SVID (JWT-SVID §5), in the order of go-spiffe, so that a rejected token has the same reason everywhere. */
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

/** All checks but those that need a bundle. */
const UNSIGNED_CHECKS = SVID_CHECKS.filter((check) => check !== key && check !== signature)

/**
 * The rule set for JWT-SVIDs of the trust domains whose bundles are there.
 * @param audience the names of the validator, at least one; the token must have one of them
 * @throws TypeError without an audience, which would accept tokens that were meant for others
 */
export function svidRules(
  bundles: JwtBundleSource,
  audience: string | readonly string[],
  { clock = systemClock, leewaySeconds = DEFAULT_LEEWAY_SECONDS }: ParseOptions = {},
): RuleSet<ValidatedSvid, SvidVerification> {
  const expectedAudience = typeof audience === 'string' ? [audience] : audience
  if (expectedAudience.length === 0 || expectedAudience.includes(''))
    throw new TypeError('An audience is required: without one, tokens that are meant for others would pass.')
  const rules: SvidRules = {
    algorithms: SVID_ALGORITHMS,
    bundles,
    expectedAudience,
    clock,
    leewaySeconds,
    // As go-spiffe has it.
    validAtExpiry: true,
  }
  return {
    checks: SVID_CHECKS,
    begin: (token, remembered) => new SvidVerification(token, rules, remembered),
  }
}

/** As {@link svidRules}, without a look at the signature. */
export function unsignedSvidRules(
  audience: string | readonly string[],
  options: ParseOptions,
): RuleSet<ValidatedSvid, SvidVerification> {
  const noBundles: JwtBundleSource = {
    getJwtBundle: () => {
      throw new TypeError('These rules look at no signature.')
    },
  }
  return { ...svidRules(noBundles, audience, options), checks: UNSIGNED_CHECKS }
}
