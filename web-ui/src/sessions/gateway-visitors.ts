import type { IncomingMessage } from 'node:http'
import { HttpError, isTokenRefusal, type Logger } from '@hallpass/service-kit'
import type { IdTokens } from '../provider/index.ts'
import { stranger, type User, userFrom, type Visitor, type VisitorSource } from './visitor.ts'

/** The headers of the gateway: the ID token, its claims, and the access token. */
const ID_TOKEN_HEADER = 'jwt'
const ACCESS_TOKEN_HEADER = 'my_access_token'
const CLAIM_HEADERS = { 'x-name': 'name', 'x-nickname': 'nickname', 'x-picture': 'picture' } as const

export interface GatewayVisitorsOptions {
  /** The verifier of the provider's ID tokens. If undefined, no token can be verified and none is accepted. */
  readonly idTokens: IdTokens | undefined
  readonly log: Logger
}

/**
 * Identifies visitors that a gateway in front has logged in. Anyone who can bypass the gateway can set the same headers, so
 * the ID token is verified here again, and the other headers must match its claims.
 */
export class GatewayVisitors implements VisitorSource {
  readonly #options: GatewayVisitorsOptions

  constructor(options: GatewayVisitorsOptions) {
    this.#options = options
  }

  /** @throws {HttpError} 401 if an identity header is forged or does not match the token. */
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
      // A gateway sets no header for a missing claim, so a value without a claim is forged.
      if (value !== undefined && utf8(value) !== user.claims[claim])
        throw this.#forged(`${name} differs from the token`)
    }
    const accessToken = header(request, ACCESS_TOKEN_HEADER)
    return {
      user,
      // Without a session of this service there are no forms to protect.
      formToken: undefined,
      accessToken: async () => accessToken,
      access: undefined,
    }
  }

  async #verify(token: string): Promise<User> {
    const { idTokens } = this.#options
    if (!idTokens) throw this.#forged('no issuer is configured that could have signed the token')
    try {
      const claims = await idTokens.verify(token, 'gateway')
      return userFrom(claims, new URL(String(claims.iss)).origin)
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

/** Returns the value of a header. Repeated headers are joined, which makes a token invalid. */
function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return (Array.isArray(value) ? value.join(',') : value) || undefined
}

/** Decodes UTF-8, which gateways send and Node reads as Latin-1. */
const utf8 = (value: string) => Buffer.from(value, 'latin1').toString('utf8')
