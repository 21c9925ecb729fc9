import { callerOf } from '@hallpass/callers'
import { badRequest, HttpError, sendJson } from '@hallpass/service-kit'
import { TokenError } from '@hallpass/tokens'
import type { RequestHandler } from 'express'
import type { IssuedTokens } from '../issued-tokens.ts'

/**
 * `POST /revoke` (RFC 7009): ends a token before its time. A caller revokes its own tokens, an administrator any. A token
 * that is not good is as revoked as can be (§2.2), so that answers 200 too.
 */
export function revoke(tokens: IssuedTokens): RequestHandler {
  return async (request, response) => {
    const { token } = request.body as { token?: unknown }
    if (typeof token !== 'string' || token === '')
      throw badRequest('invalid_request', 'The form needs a token (RFC 7009 §2.1).')
    const caller = callerOf(request)
    try {
      const claims = await tokens.verify(token)
      if (caller && !caller.admin && caller.keyId !== claims.sub)
        throw new HttpError(403, 'not_your_token', `${caller.subject} may revoke its own tokens alone.`)
      if (!tokens.revoke(claims))
        throw new HttpError(503, 'too_many_revoked', 'No more tokens can be revoked; rotate the key.')
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
    }
    sendJson(response, 200, {})
  }
}
