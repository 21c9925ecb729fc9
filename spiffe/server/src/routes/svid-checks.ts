import type { HopCheck } from '@hallpass/service-kit'
import type { JwtSvidError } from '@hallpass/spiffe'

/** What the validator of a JWT-SVID looks at, in its order; the codes are those with which each look fails. */
const CHECKS: readonly (readonly [name: string, rule: string, codes: readonly string[]])[] = [
  ['SVID form', 'RFC 7515 §7.1', ['malformed_token']],
  ['SVID algorithm', 'JWT-SVID §2.1', ['alg_not_allowed']],
  ['SVID critical', 'RFC 7515 §4.1.11', ['critical_header']],
  ['SVID type', 'JWT-SVID §2.3', ['wrong_typ']],
  ['SVID claims', 'JWT-SVID §3', ['malformed_claims', 'missing_subject', 'missing_expiry']],
  // Every other code is one of a SPIFFE ID that is none.
  ['SVID subject', 'JWT-SVID §3.1', []],
  ['SVID key', 'JWT-SVID §5', ['bundle_missing', 'authority_missing', 'alg_not_of_key']],
  ['SVID signature', 'RFC 7515 §5.2', ['invalid_signature']],
  ['SVID audience', 'JWT-SVID §3.2', ['wrong_audience']],
  ['SVID times', 'JWT-SVID §3.3', ['not_yet_valid', 'expired', 'issued_in_future']],
]
const SUBJECT = CHECKS.findIndex(([name]) => name === 'SVID subject')

/** The checks of a token that passed them all, or up to the one that an error is about. */
export function svidChecks(error?: JwtSvidError): HopCheck[] {
  const passed = CHECKS.map(([name, rule]) => ({ name, rule, passed: true }))
  if (!error) return passed
  const found = CHECKS.findIndex(([, , codes]) => codes.includes(error.code))
  const failed = found === -1 ? SUBJECT : found
  const [name, rule] = CHECKS[failed] as (typeof CHECKS)[number]
  return [...passed.slice(0, failed), { name, rule, passed: false, detail: error.message }]
}
