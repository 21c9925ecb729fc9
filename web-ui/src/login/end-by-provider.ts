import {
  type Clock,
  type Handler,
  HttpError,
  isTokenRefusal,
  type Logger,
  observeVerification,
} from '@hallpass/service-kit'
import {
  check,
  optionalSubject,
  type TokenVerification,
  type VerificationRules,
  verifyToken,
} from '@hallpass/tokens'
import type { IdTokens } from '../provider/index.ts'
import type { SessionStore } from '../sessions/index.ts'
import type { UsedTokens } from './used-tokens.ts'

/** The event that a logout token must contain (OpenID Connect Back-Channel Logout 1.0 §2.4). */
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** The standard recommends two minutes; some providers use more. */
const MAX_LIFETIME_S = 600

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The token reports a logout: an ID token of the same provider for the same client must not end sessions. */
const logoutTokenOnly = check(
  'kind',
  'OpenID Connect Back-Channel Logout §2.6',
  (verification: TokenVerification) => {
    const { events, iat, jti, nonce, sid, sub } = verification.claims
    const event = isObject(events) ? events[LOGOUT_EVENT] : undefined
    if (event === undefined || nonce !== undefined || (sid === undefined && sub === undefined))
      throw verification.fail('typ_not_allowed', 'this is not a logout token')
    if (!isObject(event))
      throw verification.fail('typ_not_allowed', 'this is not a logout token: its event is not an object')
    // Every token's `iat` is checked if it has one; this kind must (§2.4).
    if (iat === undefined)
      throw verification.fail('typ_not_allowed', 'this is not a logout token: has no iat')
    // Without it, the token would end all sessions of the user. The `sub` is checked for every token.
    if (sid !== undefined && typeof sid !== 'string')
      throw verification.fail('typ_not_allowed', 'this is not a logout token: its sid is not a string')
    // Required, because without it a replay cannot be told (§2.4).
    if (typeof jti !== 'string' || jti === '')
      throw verification.fail('typ_not_allowed', 'this is not a logout token: has no jti')
  },
)

export interface EndByProviderParts {
  readonly idTokens: IdTokens
  readonly clientId: string
  readonly sessions: SessionStore
  readonly used: UsedTokens
  /** Tolerated skew of the clocks of this service and the provider. */
  readonly leewaySeconds: number
  readonly log: Logger
  readonly clock: Clock
}

/**
 * Handles `POST /backchannel-logout`: ends the sessions that the provider has ended. The request comes from the provider,
 * not from a browser; only the signature of the logout token proves that. A token works once: a replay of one for all sessions of
 * a user would end those that began later.
 */
export function endByProvider(parts: EndByProviderParts): Handler {
  const { idTokens, clientId, sessions, used, leewaySeconds, log, clock } = parts
  return async (request, response) => {
    // Of errors too (§2.8).
    response.set('cache-control', 'no-store')
    const token = (request.body as { logout_token?: unknown } | undefined)?.logout_token
    if (typeof token !== 'string')
      throw invalidRequest('invalid_request', 'The parameter logout_token is missing.')
    const trusted = await idTokens.find()
    const rules: VerificationRules = {
      ...trusted,
      audience: clientId,
      audienceList: 'contains',
      subject: optionalSubject,
      typ: ['logout+jwt', 'JWT'],
      maxLifetimeSeconds: MAX_LIFETIME_S,
      leewaySeconds,
      clock,
    }
    const claims = await observeVerification(token, () => verifyToken(token, rules, [logoutTokenOnly])).then(
      (verified) => verified.claims,
      (error: unknown) => {
        throw isTokenRefusal(error) ? invalidRequest('invalid_request', error.message, error) : error
      },
    )
    const { sid, sub, exp } = claims
    const jti = claims.jti as string
    const rejectedFrom = ((exp as number) + leewaySeconds + 1) * 1000
    if (!(await used.use(jti, rejectedFrom)))
      throw invalidRequest('logout_token_used', 'This logout token was used before (jti).')
    try {
      const ended = await sessions.endAll({
        ...(typeof sid === 'string' ? { providerSession: sid } : {}),
        ...(typeof sub === 'string' ? { sub } : {}),
      })
      log.info({ sub, ended }, 'sessions ended by the identity provider')
    } catch (error) {
      await used.forget(jti)
      throw error
    }
    response.status(200).end()
  }
}

/** Creates an error in the form that the standard asks for (§2.8), with a code that tells causes apart. */
const invalidRequest = (code: string, message: string, cause?: unknown) =>
  new HttpError(400, code, message, {
    cause,
    body: { error: 'invalid_request', error_description: message, code },
  })
