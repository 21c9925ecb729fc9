import {
  badRequest,
  type Clock,
  type Handler,
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
import type { TrustedIssuer } from '../provider/index.ts'
import type { SessionStore } from '../sessions/index.ts'

/** The event that a logout token must contain (OpenID Connect Back-Channel Logout 1.0 §2.4). */
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** The standard recommends two minutes; some providers use more. */
const MAX_LIFETIME_S = 600

/** The token reports a logout: an ID token of the same provider for the same client must not end sessions. */
const logoutTokenOnly = check(
  'kind',
  'OpenID Connect Back-Channel Logout §2.6',
  (verification: TokenVerification) => {
    const { events, nonce, sid, sub } = verification.claims
    const isLogoutEvent = typeof events === 'object' && events !== null && LOGOUT_EVENT in events
    if (!isLogoutEvent || nonce !== undefined || (sid === undefined && sub === undefined))
      throw verification.fail('typ_not_allowed', 'this is not a logout token')
  },
)

export interface EndByProviderParts {
  readonly issuer: TrustedIssuer
  readonly clientId: string
  readonly sessions: SessionStore
  /** Tolerated skew of the clocks of this service and the provider. */
  readonly leewaySeconds: number
  readonly log: Logger
  readonly clock: Clock
}

/**
 * Handles `POST /backchannel-logout`: ends the sessions that the provider has ended. The request comes from the provider,
 * not from a browser; only the signature of the logout token proves that.
 */
export function endByProvider(parts: EndByProviderParts): Handler {
  const { issuer, clientId, sessions, leewaySeconds, log, clock } = parts
  return async (request, response) => {
    const token = (request.body as { logout_token?: unknown } | undefined)?.logout_token
    if (typeof token !== 'string')
      throw badRequest('invalid_request', 'The parameter logout_token is missing.')
    const trusted = await issuer.find()
    const rules: VerificationRules = {
      ...trusted,
      audience: clientId,
      subject: optionalSubject,
      typ: ['logout+jwt', 'JWT'],
      maxLifetimeSeconds: MAX_LIFETIME_S,
      leewaySeconds,
      clock,
    }
    const claims = await observeVerification(token, () => verifyToken(token, rules, [logoutTokenOnly])).then(
      (verified) => verified.claims,
      (error: unknown) => {
        throw isTokenRefusal(error) ? badRequest('invalid_request', error.message, error) : error
      },
    )
    const { sid, sub } = claims
    const ended = await sessions.endAll({
      ...(typeof sid === 'string' ? { providerSession: sid } : {}),
      ...(typeof sub === 'string' ? { sub } : {}),
    })
    log.info({ sub, ended }, 'sessions ended by the identity provider')
    response.set('cache-control', 'no-store').status(200).end()
  }
}
