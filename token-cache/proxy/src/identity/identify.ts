import type { IncomingMessage } from 'node:http'
import { bearerToken, challenge, HttpError, isTokenRefusal, type VerifiedClaims } from '@hallpass/service-kit'
import type { TierTrust } from '@hallpass/tier-trust'
import { headerText } from './canonical-field.ts'
import { type Identity, type KeyMaker, USER } from './identity.ts'

export const REALM = 'token-cache'

/** Finds out whom a request is from, or throws the answer that it gets. */
export type Identify = (request: IncomingMessage) => Identity | Promise<Identity>

/** What may tell callers apart, besides their name. */
export const IDENTITY_FIELDS = ['remote-user', 'user-agent', 'x-forwarded-for'] as const
export type IdentityField = (typeof IDENTITY_FIELDS)[number]

/** The user that the balancer names. In these fields anybody could write anything, so only the balancer is believed. */
export function byRemoteUser(trust: TierTrust, keys: KeyMaker, fields: readonly IdentityField[]): Identify {
  return (request) => {
    if (!trust.isFromTier(request))
      throw unauthorized(
        'not_from_balancer',
        'Who calls is believed when the balancer says it, and from nobody else.',
      )
    const { headers } = request
    const user = headers['remote-user']
    if (user === undefined)
      throw unauthorized('no_identity', 'The request does not say which user it is from.')
    if (typeof user !== 'string' || !USER.test(user))
      throw new HttpError(400, 'malformed_identity', 'The field remote-user must name one user.')
    return keys.identity(fields.map((field) => headerText(String(headers[field] ?? ''))))
  }
}

/** The subject of the caller's own token; the balancer need not be believed. */
export function byBearer(verify: (token: string) => Promise<VerifiedClaims>, keys: KeyMaker): Identify {
  return async (request) => {
    const token = bearerToken(request, REALM)
    try {
      const { claims } = await verify(token)
      const user = String(claims.sub)
      if (!USER.test(user))
        throw new HttpError(
          400,
          'malformed_identity',
          'The subject of the token must be 1 to 128 visible ASCII characters without a comma.',
        )
      return keys.identity([user, String(claims.iss)])
    } catch (error) {
      if (!isTokenRefusal(error)) throw error
      throw new HttpError(401, 'invalid_token', error.message, {
        cause: error,
        headers: {
          'www-authenticate': challenge(REALM, { error: 'invalid_token', error_description: error.message }),
        },
      })
    }
  }
}

const unauthorized = (code: string, message: string) =>
  new HttpError(401, code, message, { headers: { 'www-authenticate': challenge(REALM) } })
