import type { IncomingMessage } from 'node:http'
import { bearerToken, challenge, HttpError, isTokenRefusal, type VerifiedClaims } from '@hallpass/service-kit'
import type { TierTrust } from '@hallpass/tier-trust'
import { headerText } from './canonical-field.ts'
import { type Identity, type KeyMaker, USER } from './identity.ts'

export const REALM = 'token-cache'

/** Returns the identity of a request's caller, or throws the error response. */
export type Identify = (request: IncomingMessage) => Identity | Promise<Identity>

/** The header fields that can be part of an identity. */
export const IDENTITY_FIELDS = ['remote-user', 'user-agent', 'x-forwarded-for'] as const
export type IdentityField = (typeof IDENTITY_FIELDS)[number]

/** Identifies callers by the balancer's fields. Any caller could set these fields, so only the balancer is trusted. */
export function byRemoteUser(trust: TierTrust, keys: KeyMaker, fields: readonly IdentityField[]): Identify {
  return (request) => {
    if (!trust.isFromTier(request))
      throw unauthorized(
        'not_from_balancer',
        'Callers are identified only by the load balancer. Send the request through it.',
      )
    const { headers } = request
    const user = headers['remote-user']
    if (user === undefined) throw unauthorized('no_identity', 'The request has no remote-user field.')
    if (typeof user !== 'string' || !USER.test(user))
      throw new HttpError(
        400,
        'malformed_identity',
        'The remote-user field must contain one user name of 1 to 128 visible ASCII characters without a comma.',
      )
    return keys.identity(fields.map((field) => headerText(String(headers[field] ?? ''))))
  }
}

/** Identifies callers by the subject of their own token, without trusting the balancer. */
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
