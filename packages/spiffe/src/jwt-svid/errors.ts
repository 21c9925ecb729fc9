import type { Check } from '@hallpass/tokens'
import type { SpiffeIdErrorCode } from '../spiffe-id/index.ts'

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

export interface JwtSvidErrorOptions extends ErrorOptions {
  readonly checks?: readonly Check[]
  readonly spireMessage?: string
}

/** Reports a rejected JWT-SVID: `code` is stable, the message is go-spiffe's. */
export class JwtSvidError extends Error {
  override readonly name = 'JwtSvidError'
  readonly code: JwtSvidErrorCode
  /** Every check that ran, in order; the last one failed. */
  readonly checks: readonly Check[]
  /** The message of SPIRE's Workload API for the same rejection. */
  readonly spireMessage: string

  constructor(code: JwtSvidErrorCode, message: string, options: JwtSvidErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.checks = options.checks ?? []
    this.spireMessage = options.spireMessage ?? message
  }

  /** The code, under the name that all verifiers' errors use. */
  get reason(): JwtSvidErrorCode {
    return this.code
  }

  /** Returns the part that callers are allowed to see. */
  toJSON(): { readonly name: string; readonly message: string } {
    return { name: this.name, message: this.message }
  }
}
