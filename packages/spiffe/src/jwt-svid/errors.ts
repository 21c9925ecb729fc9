import type { SpiffeIdErrorCode } from '../spiffe-id/errors.ts'

export type JwtSvidErrorCode =
  | SpiffeIdErrorCode
  | 'malformed_token'
  | 'alg_not_allowed'
  | 'critical_header'
  | 'wrong_typ'
  | 'malformed_claims'
  | 'missing_subject'
  | 'missing_expiry'
  | 'bundle_missing'
  | 'authority_missing'
  | 'alg_not_of_key'
  | 'invalid_signature'
  | 'wrong_audience'
  | 'not_yet_valid'
  | 'expired'
  | 'issued_in_future'
  | 'id_mismatch'

/** The two texts that other libraries print without the prefix, because they come from the library beneath. */
const WITHOUT_PREFIX: ReadonlySet<JwtSvidErrorCode> = new Set(['not_yet_valid', 'issued_in_future'])

/** A JWT-SVID that is refused; `code` is stable, the text is the one operators of other SPIFFE libraries know. */
export class JwtSvidError extends Error {
  readonly code: JwtSvidErrorCode

  constructor(code: JwtSvidErrorCode, message: string, options?: ErrorOptions) {
    super(WITHOUT_PREFIX.has(code) ? message : `jwtsvid: ${message}`, options)
    this.name = 'JwtSvidError'
    this.code = code
  }
}
