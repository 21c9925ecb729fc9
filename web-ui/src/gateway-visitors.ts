import type { IncomingMessage } from 'node:http'
import {
  type Clock,
  HttpError,
  isTokenRefusal,
  type Logger,
  observeVerification,
} from '@hallpass/service-kit'
import { anySubject, TokenError, verifyToken } from '@hallpass/tokens'
import type { TrustedIssuer } from './trusted-issuer.ts'
import { stranger, type User, userFrom, type Visitor, type VisitorSource } from './visitor.ts'

/** What the gateway puts into each header: the ID token, its claims, and the access token. */
const ID_TOKEN_HEADER = 'jwt'
const ACCESS_TOKEN_HEADER = 'my_access_token'
const CLAIM_HEADERS = { 'x-name': 'name', 'x-nickname': 'nickname', 'x-picture': 'picture' } as const

/** A gateway refreshes the ID token of a session that lives for a day. */
const MAX_LIFETIME_S = 86_400
/** The clocks of a gateway and its provider are not ours. */
const LEEWAY_S = 10

/** Claims that an ID token does not have, and other tokens of the same issuer for the same audience do. */
const CLAIMS_OF_OTHER_TOKENS = ['events', 'scope', 'client_id'] as const

export interface GatewayVisitorsOptions {
  /** Whose ID tokens are good, and for which client; absent, no token can be verified and none is believed. */
  readonly trust: { readonly issuer: TrustedIssuer; readonly clientId: string } | undefined
  readonly log: Logger
  readonly clock: Clock
}

/**
 * Visitors whom a gateway in front has logged in. Whoever reaches this service past the gateway can set the same
 * headers, so they are believed only as far as the ID token's signature goes: the token is verified here, again,
 * and the other headers must say what it says.
 */
export class GatewayVisitors implements VisitorSource {
  readonly #options: GatewayVisitorsOptions

  constructor(options: GatewayVisitorsOptions) {
    this.#options = options
  }

  /** @throws {HttpError} 401 when an identity header is forged, or says more than the token. */
  async identify(request: IncomingMessage): Promise<Visitor> {
    const idToken = header(request, ID_TOKEN_HEADER)
    if (idToken === undefined) {
      const alone = Object.keys(CLAIM_HEADERS).find((name) => header(request, name) !== undefined)
      if (alone !== undefined) throw this.#forged(`${alone} came without a token`)
      return stranger
    }
    const user = await this.#verify(idToken)
    for (const [name, claim] of Object.entries(CLAIM_HEADERS)) {
      const value = header(request, name)
      // A gateway has nothing to set for a claim that is absent, so a value there is the sender's own.
      if (value !== undefined && utf8(value) !== user.claims[claim])
        throw this.#forged(`${name} differs from the token`)
    }
    const accessToken = header(request, ACCESS_TOKEN_HEADER)
    return {
      user,
      // No session of ours, so no form of ours changes anything.
      formToken: undefined,
      accessToken: async () => accessToken,
      access: undefined,
    }
  }

  async #verify(token: string): Promise<User> {
    const { trust, clock } = this.#options
    if (!trust) throw this.#forged('no issuer is configured that could have signed the token')
    const { issuer, keys } = await trust.issuer.find()
    try {
      const { claims } = await observeVerification(token, async () => {
        const verified = await verifyToken(token, {
          issuer,
          keys,
          audience: trust.clientId,
          subject: anySubject,
          typ: ['JWT'],
          maxLifetimeSeconds: MAX_LIFETIME_S,
          leewaySeconds: LEEWAY_S,
          clock,
        })
        const foreign = CLAIMS_OF_OTHER_TOKENS.find((claim) => verified.claims[claim] !== undefined)
        if (foreign === undefined) return verified
        const failed = {
          name: 'kind',
          passed: false,
          rule: 'RFC 8725 §3.12',
          detail: `has a ${foreign} claim`,
        }
        throw new TokenError('typ_not_allowed', 'this is not an ID token', {
          checks: [...verified.checks, failed],
        })
      })
      return userFrom(claims, new URL(issuer).origin)
    } catch (error) {
      if (isTokenRefusal(error)) throw this.#forged(error.message, error.reason)
      throw error
    }
  }

  #forged(message: string, reason = 'identity_mismatch'): HttpError {
    this.#options.log.warn({ reason }, `identity header rejected: ${message}`)
    return new HttpError(401, 'identity_not_verified', `Identity headers could not be verified: ${message}.`)
  }
}

/** One value of a header; two of a kind are joined, and then no token any more. */
function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return (Array.isArray(value) ? value.join(',') : value) || undefined
}

/** Node reads header bytes as Latin-1; gateways write UTF-8. */
const utf8 = (value: string) => Buffer.from(value, 'latin1').toString('utf8')
