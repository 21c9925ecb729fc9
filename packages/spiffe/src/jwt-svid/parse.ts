import { atOnce, SignatureMemory, verifyBy } from '@hallpass/tokens'
import type { JwtBundleSource } from '../jwt-bundle/index.ts'
import { type ParseOptions, svidRules, unsignedSvidRules } from './rules.ts'
import type { JwtSvid } from './svid.ts'
import type { ValidatedSvid } from './verification.ts'

/**
 * Parses and validates a JWT-SVID (JWT-SVID §5): form, algorithm, claims, signature by an authority of the trust domain in
 * `sub`, audience, times. The order is go-spiffe's, so that both report the same reason.
 *
 * @param audience the validator's audiences, at least one; the token must contain one of them
 * @throws JwtSvidError
 * @throws TypeError without an audience, because tokens meant for others would be accepted
 */
export function parseAndValidate(
  token: string,
  bundles: JwtBundleSource,
  audience: string | readonly string[],
  options: ParseOptions = {},
): JwtSvid {
  return svidValidator(bundles, audience, options)(token).svid
}

/** Makes a {@link parseAndValidate} for fixed rules that also returns every check; on failure they are in the error. */
export function svidValidator(
  bundles: JwtBundleSource,
  audience: string | readonly string[],
  options: ParseOptions = {},
): (token: string) => ValidatedSvid {
  const rules = svidRules(bundles, audience, options)
  return (token) => atOnce(verifyBy(rules, token))
}

/**
 * Makes a {@link parseAndValidate} for fixed rules that verifies the signature of a repeated token only once. Everything else
 * is checked each time, so a token is rejected as soon as it expires or its key is removed from the bundle.
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
 * Parses a JWT-SVID without verifying its signature: only for tokens from the workload's own agent, never for a peer's.
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
