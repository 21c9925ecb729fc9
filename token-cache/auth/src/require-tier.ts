import { challenge, type Handler, HttpError } from '@hallpass/service-kit'
import type { TierTrust } from '@hallpass/tier-trust'

/** Rejects requests that are not from a proxy: other callers could name any user. */
export function requireTier(trust: TierTrust): Handler {
  return (request, _response, next) => {
    if (!trust.isFromTier(request))
      throw new HttpError(
        401,
        'not_from_tier',
        'The auth tier accepts requests only from the proxies of the token cache.',
        {
          headers: { 'www-authenticate': challenge('token-cache-auth') },
        },
      )
    next()
  }
}
