import { type AnyVerificationKey, check, fits, LAST_SECOND, type SignatureAlgorithm } from '@hallpass/tokens'
import { JwtBundleError } from '../jwt-bundle/errors.ts'
import type { JwtAuthority } from '../jwt-bundle/jwk.ts'
import { SpiffeIdError } from '../spiffe-id/errors.ts'
import { SpiffeId } from '../spiffe-id/id.ts'
import type { SvidVerification } from './verification.ts'

/** A `kid` is a string; that it names a key is checked later. */
export const keyId = check('SVID kid', 'RFC 7515 §4.1.4', (verification: SvidVerification) => {
  const { kid } = verification.header
  if (kid !== undefined && typeof kid !== 'string')
    throw verification.reject('malformed_token', 'kid is not a string')
})

/** There is no type, or one of the two that are allowed, letter by letter. */
export const type = check('SVID type', 'JWT-SVID §2.3', (verification: SvidVerification) => {
  const { typ } = verification.header
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE')
    throw verification.reject('wrong_typ', 'typ is neither JWT nor JOSE')
})

/** The claims that a JWT-SVID must have are there, and each is of its type. */
export const claims = check('SVID claims', 'JWT-SVID §3', (verification: SvidVerification) => {
  const { sub = '', aud = [], exp, nbf, iat } = verification.claims
  if (typeof sub !== 'string') throw verification.reject('malformed_claims', 'sub is not a string')
  const audience = typeof aud === 'string' ? [aud] : aud
  if (!Array.isArray(audience) || audience.some((name) => typeof name !== 'string'))
    throw verification.reject('malformed_claims', 'aud is neither a string nor a list of strings')
  const read = (name: string, value: unknown) => {
    const seconds = wholeSeconds(value)
    if (Number.isNaN(seconds)) throw verification.reject('malformed_claims', `${name} is not a NumericDate`)
    return seconds
  }
  const times = { exp: read('exp', exp), nbf: read('nbf', nbf), iat: read('iat', iat) }
  if (sub === '') throw verification.reject('missing_subject', 'there is no sub')
  if (times.exp === undefined) throw verification.reject('missing_expiry', 'there is no exp')
  verification.audience = audience
  verification.expiresAt = times.exp * 1000
  verification.issuedAt = times.iat === undefined ? undefined : times.iat * 1000
  verification.times = { exp: onCalendar(times.exp), nbf: onCalendar(times.nbf), iat: onCalendar(times.iat) }
})

/** A NumericDate may have a fraction (RFC 7519 §2), which go-spiffe cuts off; what a Date cannot hold is not a time. */
function wholeSeconds(value: unknown): number | undefined {
  if (value === undefined) return undefined
  return typeof value === 'number' && Math.abs(value) <= 8.64e12 ? Math.trunc(value) : Number.NaN
}

/** The shared checks know the years 1970 to 9999; what is before or after them is as good as their first or last second. */
const onCalendar = (seconds: number | undefined) =>
  seconds === undefined ? undefined : Math.min(Math.max(seconds, 0), LAST_SECOND)

/** The subject is a SPIFFE ID. */
export const subject = check('SVID subject', 'JWT-SVID §3.1', (verification: SvidVerification) => {
  try {
    verification.id = SpiffeId.parse(verification.claims.sub as string)
  } catch (cause) {
    if (!(cause instanceof SpiffeIdError)) throw cause
    throw verification.reject(cause.code, cause.message, cause)
  }
})

/**
 * The trust domain of the subject has an authority that the token means and that its algorithm fits. Without a `kid`, which
 * is optional (JWT-SVID §2.2), every authority that the algorithm fits may have signed.
 */
export const key = check('SVID key', 'JWT-SVID §5', (verification: SvidVerification) => {
  const { alg, header } = verification
  const kid = header.kid as string | undefined
  const authorities = authoritiesOf(verification)
  const named = kid ? authorities.filter((authority) => authority.kid === kid) : authorities
  if (named.length === 0 && kid) throw verification.reject('authority_missing', 'no authority has this kid')
  const keys = named.flatMap((authority) => keyOf(authority, alg) ?? [])
  if (keys.length === 0)
    throw kid
      ? verification.reject('alg_not_of_key', `the authority is not for ${alg}`)
      : verification.reject('authority_missing', `no authority is for ${alg}`)
  verification.keys = keys
})

function authoritiesOf(verification: SvidVerification): readonly JwtAuthority[] {
  try {
    return verification.rules.bundles.getJwtBundle(verification.id.trustDomain).authorities
  } catch (cause) {
    const known = cause instanceof JwtBundleError || (cause as { code?: string }).code !== undefined
    if (!known) throw cause
    throw verification.reject('bundle_missing', 'there is no bundle of its trust domain', cause)
  }
}

const keyOf = ({ kid, publicKey, alg: only }: JwtAuthority, alg: SignatureAlgorithm) =>
  fits(publicKey, alg) && (only === undefined || only === alg)
    ? ({ kid, alg, publicKey } satisfies AnyVerificationKey)
    : undefined

/** The token is for one of the validator's names. */
export const audience = check('SVID audience', 'JWT-SVID §3.2', (verification: SvidVerification) => {
  const { audience, rules } = verification
  if (!audience.some((name) => rules.expectedAudience.includes(name)))
    throw verification.reject('wrong_audience', 'it is for none of the names of this validator')
})
