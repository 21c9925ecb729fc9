import { challenge, HttpError } from '@hallpass/service-kit'
import type { TierTrust } from '@hallpass/tier-trust'
import type { RequestHandler } from 'express'

/** Lets a request pass that comes from a proxy; anybody else could name any user. */
export function requireTier(trust: TierTrust): RequestHandler {
  return (request, _response, next) => {
    if (!trust.isFromTier(request))
      throw new HttpError(
        401,
        'not_from_tier',
        'The auth tier answers to the proxies of the token cache alone.',
        {
          headers: { 'www-authenticate': challenge('token-cache-auth') },
        },
      )
    next()
  }
}
