import {
  type Check,
  type Claims,
  type CommonRules,
  type TokenErrorReason,
  Verification,
} from '@hallpass/tokens'
import type { JwtBundleSource } from '../jwt-bundle/bundle.ts'
import type { SpiffeId } from '../spiffe-id/id.ts'
import { JwtSvidError, type JwtSvidErrorCode } from './errors.ts'
import { JwtSvid } from './svid.ts'
import { goSpiffeWords } from './words.ts'

export interface SvidRules extends CommonRules {
  readonly bundles: JwtBundleSource
  /** The names of the validator, at least one; the token must have one of them. */
  readonly expectedAudience: readonly string[]
}

/** A JWT-SVID that is valid, and why. */
export interface ValidatedSvid {
  readonly svid: JwtSvid
  readonly claims: Claims
  readonly checks: readonly Check[]
}

/** What the shared checks call a fault, and the code under which it has always been known here; else `malformed_token`. */
const CODES: Readonly<Partial<Record<TokenErrorReason, JwtSvidErrorCode>>> = {
  alg_not_allowed: 'alg_not_allowed',
  critical_header: 'critical_header',
  unencoded_payload: 'critical_header',
  claims_malformed: 'malformed_claims',
  signature_invalid: 'invalid_signature',
  not_active_yet: 'not_yet_valid',
  expired: 'expired',
  issued_in_future: 'issued_in_future',
}

/** The verification of a JWT-SVID; what fails is a {@link JwtSvidError}. */
export class SvidVerification extends Verification<SvidRules, ValidatedSvid> {
  /** (SVID claims) */
  audience: readonly string[] = []
  /** (SVID claims) Milliseconds since the epoch. */
  expiresAt = 0
  /** (SVID claims) Milliseconds since the epoch. */
  issuedAt: number | undefined
  /** (SVID subject) */
  id!: SpiffeId

  override fail(reason: TokenErrorReason, message: string, detail = message): JwtSvidError {
    return this.reject(CODES[reason] ?? 'malformed_token', detail)
  }

  /** As `fail`, for a check of this rule set. */
  reject(code: JwtSvidErrorCode, detail: string, cause?: unknown): JwtSvidError {
    const { header, id, audience, rules } = this
    const message = goSpiffeWords(code, {
      header,
      id,
      audience,
      expectedAudience: rules.expectedAudience,
      detail,
    })
    return new JwtSvidError(code, message, { cause, checks: this.checksWithFailure(detail) })
  }

  override result(): ValidatedSvid {
    const { audience, claims, checks, expiresAt, id, issuedAt, token } = this
    return {
      svid: new JwtSvid({ id, audience, expiresAt, issuedAt, claims, hint: '', token }),
      claims,
      checks,
    }
  }
}
