import { atOnce, SignatureMemory, verifyBy } from '@hallpass/tokens'
import type { JwtBundleSource } from '../jwt-bundle/bundle.ts'
import { type ParseOptions, svidRules, unsignedSvidRules } from './rules.ts'
import type { JwtSvid } from './svid.ts'
import type { ValidatedSvid } from './verification.ts'

/**
 * Reads and validates a JWT-SVID (JWT-SVID §5): form, algorithm, claims, signature by an authority of the trust
 * domain that `sub` names, audience, times; in this order, so that a rejected token has the same reason everywhere.
 *
 * @param audience the names that the validator answers to, at least one; the token must bear one of them
 * @throws JwtSvidError
 * @throws TypeError without an audience, which would accept tokens that were meant for others
 */
export function parseAndValidate(
  token: string,
  bundles: JwtBundleSource,
  audience: string | readonly string[],
  options: ParseOptions = {},
): JwtSvid {
  return svidValidator(bundles, audience, options)(token).svid
}

/** {@link parseAndValidate} for one validator, with every check that it made: in the answer, or in the error. */
export function svidValidator(
  bundles: JwtBundleSource,
  audience: string | readonly string[],
  options: ParseOptions = {},
): (token: string) => ValidatedSvid {
  const rules = svidRules(bundles, audience, options)
  return (token) => atOnce(verifyBy(rules, token))
}

/**
 * {@link parseAndValidate} for one validator, with a memory of the signatures that were good: a token that comes
 * again costs no second check of its signature. All the rest is checked each time, so a token ends when it expires,
 * and when its key leaves the bundle.
 */
export function cachedValidator(
  bundles: JwtBundleSource,
  audience: string | readonly string[],
  options: ParseOptions = {},
): (token: string) => JwtSvid {
  const rules = svidRules(bundles, audience, options)
  const memory = new SignatureMemory()
  return (token) => atOnce(memory.verifyBy(rules, token)).svid
}

/**
 * Reads a JWT-SVID without a look at its signature: for tokens that come from one's own agent, never for those
 * that come from a peer.
 *
 * @throws JwtSvidError
 * @throws TypeError without an audience
 */
export function parseInsecure(
  token: string,
  audience: string | readonly string[],
  options: ParseOptions = {},
): JwtSvid {
  return atOnce(verifyBy(unsignedSvidRules(audience, options), token)).svid
}
