import { type ParsedToken, parseCompact, TokenError } from '@hallpass/tokens'
import { type Clock, systemClock } from '../clock.ts'
import type { JwtBundleSource } from '../jwt-bundle/bundle.ts'
import { JwtBundleError } from '../jwt-bundle/errors.ts'
import type { JwtAuthority } from '../jwt-bundle/jwk.ts'
import { SpiffeIdError } from '../spiffe-id/errors.ts'
import { SpiffeId } from '../spiffe-id/id.ts'
import { fitsKey, isAllowed, verifies } from './algorithms.ts'
import { JwtSvidError } from './errors.ts'
import { quoteAll } from './quote.ts'
import { SignatureMemory } from './signature-memory.ts'
import { type Claims, JwtSvid } from './svid.ts'

/** How far the clocks of two machines may be apart; the value of other SPIFFE libraries (JWT-SVID §3.3 allows a small one). */
export const DEFAULT_LEEWAY_SECONDS = 60

export interface ParseOptions {
  readonly clock?: Clock
  readonly leewaySeconds?: number
}

/**
 * Reads and validates a JWT-SVID (JWT-SVID §5): form, algorithm, claims, signature by an authority of the trust
 * domain that `sub` names, audience, times; in this order, so that a refused token has the same reason everywhere.
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
  return parse(token, audience, options, (parsed, id) => verifySignature(parsed, id, bundles, verifies))
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
  const memory = new SignatureMemory()
  return (token) =>
    parse(token, audience, options, (parsed, id) => verifySignature(parsed, id, bundles, memory.verifies))
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
  return parse(token, audience, options, () => {})
}

function parse(
  token: string,
  audience: string | readonly string[],
  { clock = systemClock, leewaySeconds = DEFAULT_LEEWAY_SECONDS }: ParseOptions,
  verify: (parsed: ParsedToken, id: SpiffeId) => void,
): JwtSvid {
  const expected = typeof audience === 'string' ? [audience] : audience
  if (expected.length === 0 || expected.includes(''))
    throw new TypeError('An audience is required: without one, tokens that are meant for others would pass.')
  const parsed = parseToken(token)
  checkHeader(parsed)
  const claims = readClaims(parsed.payload)
  if (claims.sub === '') throw new JwtSvidError('missing_subject', 'token missing subject claim')
  const { exp } = claims
  if (exp === undefined) throw new JwtSvidError('missing_expiry', 'token missing exp claim')
  const id = readSubject(claims.sub)
  verify(parsed, id)
  if (!claims.aud.some((name) => expected.includes(name)))
    throw new JwtSvidError(
      'wrong_audience',
      `expected audience in ${quoteAll(expected)} (audience=${quoteAll(claims.aud)})`,
    )
  checkTimes({ ...claims, exp }, clock() / 1000, leewaySeconds)
  return new JwtSvid({
    id,
    audience: claims.aud,
    expiresAt: exp * 1000,
    issuedAt: claims.iat === undefined ? undefined : claims.iat * 1000,
    claims: parsed.payload,
    hint: '',
    token,
  })
}

function parseToken(token: string): ParsedToken {
  try {
    return parseCompact(token)
  } catch (cause) {
    if (!(cause instanceof TokenError)) throw cause
    throw cause.reason === 'claims_malformed'
      ? malformedClaims(cause.checks.at(-1)?.detail ?? cause.message, cause)
      : new JwtSvidError('malformed_token', 'unable to parse JWT token', { cause })
  }
}

function checkHeader({ header }: ParsedToken): void {
  if (!isAllowed(header.alg)) throw new JwtSvidError('alg_not_allowed', 'unable to parse JWT token')
  // RFC 7515 §4.1.11: whoever does not understand a critical header must refuse; none is understood here.
  if ('crit' in header) throw new JwtSvidError('critical_header', 'unable to parse JWT token')
  if ('kid' in header && typeof header.kid !== 'string')
    throw new JwtSvidError('malformed_token', 'unable to parse JWT token')
  if ('typ' in header && header.typ !== 'JWT' && header.typ !== 'JOSE')
    throw new JwtSvidError('wrong_typ', 'token header type not equal to either JWT or JOSE')
}

interface RegisteredClaims {
  readonly sub: string
  readonly aud: readonly string[]
  /** Whole seconds since the epoch. */
  readonly exp: number | undefined
  readonly nbf: number | undefined
  readonly iat: number | undefined
}

function readClaims(payload: Claims): RegisteredClaims {
  const { sub = '', aud = [], exp, nbf, iat } = payload
  if (typeof sub !== 'string') throw malformedClaims('sub is not a string')
  const audience = typeof aud === 'string' ? [aud] : aud
  if (!Array.isArray(audience) || audience.some((name) => typeof name !== 'string'))
    throw malformedClaims('aud is neither a string nor a list of strings')
  return {
    sub,
    aud: audience,
    exp: numericDate('exp', exp),
    nbf: numericDate('nbf', nbf),
    iat: numericDate('iat', iat),
  }
}

/** A NumericDate may have a fraction (RFC 7519 §2); what a Date cannot hold is no time. */
function numericDate(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value) || Math.abs(value) > 8.64e12)
    throw malformedClaims(`${name} is not a NumericDate`)
  return Math.trunc(value)
}

const malformedClaims = (why: string, cause?: unknown) =>
  new JwtSvidError('malformed_claims', `unable to get claims from token: ${why}`, { cause })

function readSubject(sub: string): SpiffeId {
  try {
    return SpiffeId.parse(sub)
  } catch (cause) {
    if (!(cause instanceof SpiffeIdError)) throw cause
    throw new JwtSvidError(cause.code, `token has an invalid subject claim: ${cause.message}`, { cause })
  }
}

function verifySignature(
  { header, signingInput, signature }: ParsedToken,
  { trustDomain }: SpiffeId,
  bundles: JwtBundleSource,
  isSignedBy: typeof verifies,
): void {
  const alg = header.alg as string
  const kid = header.kid as string | undefined
  const authorities = authoritiesOf(trustDomain, bundles)
  // `kid` is optional (JWT-SVID §2.2): without one, every authority that the algorithm fits may have signed.
  const named = kid === undefined || kid === '' ? authorities : authorities.filter((key) => key.kid === kid)
  if (named.length === 0 && kid)
    throw new JwtSvidError(
      'authority_missing',
      `no JWT authority ${JSON.stringify(kid)} found for trust domain "${trustDomain.name}"`,
    )
  const fitting = named.filter(
    (key) => fitsKey(alg, key.publicKey) && (key.alg === undefined || key.alg === alg),
  )
  if (fitting.length === 0)
    throw kid
      ? new JwtSvidError(
          'alg_not_of_key',
          `unable to get claims from token: algorithm ${alg} does not fit JWT authority ${JSON.stringify(kid)}`,
        )
      : new JwtSvidError(
          'authority_missing',
          `no JWT authority for algorithm ${alg} found for trust domain "${trustDomain.name}"`,
        )
  if (!fitting.some((key) => isSignedBy(alg, key.publicKey, signingInput, signature)))
    throw new JwtSvidError(
      'invalid_signature',
      'unable to get claims from token: go-jose/go-jose: error in cryptographic primitive',
    )
}

function authoritiesOf(
  trustDomain: SpiffeId['trustDomain'],
  bundles: JwtBundleSource,
): readonly JwtAuthority[] {
  try {
    return bundles.getJwtBundle(trustDomain).authorities
  } catch (cause) {
    const known = cause instanceof JwtBundleError || (cause as { code?: string }).code !== undefined
    if (!known) throw cause
    throw new JwtSvidError('bundle_missing', `no bundle found for trust domain "${trustDomain.name}"`, {
      cause,
    })
  }
}

function checkTimes(
  { exp, nbf, iat }: RegisteredClaims & { exp: number },
  now: number,
  leeway: number,
): void {
  if (nbf !== undefined && now + leeway < nbf)
    throw new JwtSvidError(
      'not_yet_valid',
      'go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)',
    )
  if (now - leeway > exp) throw new JwtSvidError('expired', 'token has expired')
  if (iat !== undefined && now + leeway < iat)
    throw new JwtSvidError(
      'issued_in_future',
      'go-jose/go-jose/jwt: validation field, token issued in the future (iat)',
    )
}
