import {
  type Check,
  type Claims,
  type CommonRules,
  type TokenErrorReason,
  Verification,
} from '@hallpass/tokens'
import type { JwtBundleSource } from '../jwt-bundle/index.ts'
import type { SpiffeId } from '../spiffe-id/index.ts'
import { JwtSvidError, type JwtSvidErrorCode } from './errors.ts'
import { JwtSvid } from './svid.ts'
import { goSpiffeWords, spireWords } from './words.ts'

export interface SvidRules extends CommonRules {
  readonly bundles: JwtBundleSource
  /** The validator's audiences, at least one; the token must contain one of them. */
  readonly expectedAudience: readonly string[]
}

/** A valid JWT-SVID, and the checks that it passed. */
export interface ValidatedSvid {
  readonly svid: JwtSvid
  readonly claims: Claims
  readonly checks: readonly Check[]
}

/** Maps reasons of the shared checks to the stable codes of JWT-SVIDs; all others are `malformed_token`. */
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

/** Verifies a JWT-SVID; failures are {@link JwtSvidError}s. */
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

  /** Does the same as `fail`, for this rule set's own checks. */
  reject(code: JwtSvidErrorCode, detail: string, cause?: unknown): JwtSvidError {
    const { header, id, audience, rules } = this
    const facts = {
      header,
      id,
      audience,
      expectedAudience: rules.expectedAudience,
      detail,
    }
    return new JwtSvidError(code, goSpiffeWords(code, facts), {
      cause,
      checks: this.checksWithFailure(detail),
      spireMessage: spireWords(code, facts),
    })
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
