import { isBearerType, isBoundToKey, LAST_SECOND, otherKindOf, type TokenUse } from '@hallpass/tokens'
import type { IntrospectionAnswer } from './introspection-endpoint.ts'

export interface IntrospectionRules {
  readonly issuer: string
  readonly audience: string
  /** `contains` accepts a list of audiences with this one. */
  readonly audienceList: 'single' | 'contains'
  /** `optional` accepts an answer without `aud`. */
  readonly answeredAudience: 'required' | 'optional'
  readonly tokenUse: TokenUse
  /** `required` rejects answers without `exp`; by default it is checked if present. */
  readonly expiry?: 'required' | 'optional'
  /** `required` rejects answers without `sub`, by default accepted. */
  readonly subject?: 'required' | 'optional'
  /** The maximum `exp` − `iat` in seconds; without `iat`, the maximum `exp` − now. By default there is none. */
  readonly maxLifetimeSeconds?: number
  /** Tolerated clock skew of the issuer. */
  readonly leewaySeconds: number
  /** The same for `exp`; by default `leewaySeconds`. */
  readonly expiryLeewaySeconds?: number
}

/** A token that the issuer, or what the issuer answers, rejects. */
export class IntrospectionRefusal extends Error {
  override readonly name = 'IntrospectionRefusal'
  readonly reason: string

  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return { name: this.name, message: this.message }
  }
}

/**
 * Checks what an issuer answers about a token (RFC 7662 §2.2): it is active, from this issuer, for this service, within its
 * times, and a bearer access token. `exp`, `nbf`, `iat` and `iss` are optional in an answer, so each is checked if present, unless
 * the rules require it.
 * @throws {IntrospectionRefusal}
 */
export function checkIntrospected(answer: IntrospectionAnswer, rules: IntrospectionRules, now: number): void {
  const refuse = (reason: string, message: string) => {
    throw new IntrospectionRefusal(reason, message)
  }
  if (!answer.active) refuse('inactive', 'the issuer says that the token is not active')
  const { issuer } = rules
  if (answer.iss !== undefined && answer.iss !== issuer)
    refuse('issuer_mismatch', `token issuer invalid. expected: ${issuer}`)
  checkAudience(answer.aud, rules, refuse)
  checkTimes(answer, rules, now / 1000, refuse)
  const { sub } = answer
  if (rules.subject === 'required' && (typeof sub !== 'string' || sub === ''))
    refuse('subject_missing', 'token sub required')
  if (!isBearerToken(answer)) refuse('use_not_allowed', 'token is not a bearer token')
  if (!isAccessToken(answer, rules.tokenUse)) refuse('use_not_allowed', 'token is not a bearer access token')
}

type Refuse = (reason: string, message: string) => void

function checkTimes(
  answer: IntrospectionAnswer,
  rules: IntrospectionRules,
  seconds: number,
  refuse: Refuse,
): void {
  const { leewaySeconds, expiryLeewaySeconds = leewaySeconds, maxLifetimeSeconds } = rules
  const exp = timeIn(answer, 'exp', refuse)
  if (exp === undefined && rules.expiry === 'required') refuse('expiry_missing', 'token exp required')
  if (exp !== undefined && seconds >= exp + expiryLeewaySeconds) refuse('expired', 'token expired')
  const nbf = timeIn(answer, 'nbf', refuse)
  if (nbf !== undefined && seconds < nbf - leewaySeconds) refuse('not_active_yet', 'token not active yet')
  const iat = timeIn(answer, 'iat', refuse)
  if (iat !== undefined && seconds < iat - leewaySeconds)
    refuse('issued_in_future', 'token issued in the future')
  if (exp !== undefined && maxLifetimeSeconds !== undefined && exp - (iat ?? seconds) > maxLifetimeSeconds)
    refuse('lifetime_too_long', 'token lifetime too long')
}

function checkAudience(aud: unknown, rules: IntrospectionRules, refuse: Refuse): void {
  const { audience, audienceList, answeredAudience } = rules
  if (aud === undefined && answeredAudience === 'optional') return
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(audience))
    refuse('audience_mismatch', `token audience invalid. expected: ${audience}`)
  if (audienceList === 'single' && audiences.length > 1)
    refuse('audience_not_single', `token audience invalid. expected only: ${audience}`)
}

function timeIn(
  answer: IntrospectionAnswer,
  name: 'exp' | 'nbf' | 'iat',
  refuse: Refuse,
): number | undefined {
  const value = answer[name]
  if (value === undefined) return undefined
  // A NumericDate (RFC 7519 §2); in milliseconds, a token would hardly ever expire.
  if (typeof value !== 'number' || !(value >= 0 && value <= LAST_SECOND))
    refuse(`${name}_malformed`, `token ${name} invalid`)
  return value as number
}

/**
 * Whether the answer is not about a token that is bound to a key, whose `token_type` may be another (`DPoP`) or still `Bearer`
 * (mutual TLS): accepting it as a bearer token would undo the binding.
 */
const isBearerToken = (answer: IntrospectionAnswer): boolean =>
  !isBoundToKey(answer) && (answer.token_type === undefined || isBearerType(answer.token_type))

/**
 * Whether the answer about a bearer token is about an access token. Issuers answer for refresh tokens too, without `token_type`
 * (RFC 7662 §2.2 makes it optional), so it is required unless the configured claim tells the kind.
 */
function isAccessToken(answer: IntrospectionAnswer, tokenUse: TokenUse): boolean {
  if (otherKindOf(answer) !== undefined) return false
  if (isBearerType(answer.token_type) || tokenUse === 'any') return true
  return typeof tokenUse === 'object' && answer[tokenUse.claim] === tokenUse.value
}
