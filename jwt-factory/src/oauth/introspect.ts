import { callerOf } from '@hallpass/callers'
import { badRequest, type Handler, sendJson } from '@hallpass/service-kit'
import { TokenError } from '@hallpass/tokens'
import type { IssuedTokens } from '../issued-tokens.ts'

/**
 * `POST /introspect` (RFC 7662): returns whether a token is valid now, for its audience, and its claims. For an invalid
 * token, returns only `active: false` (§2.2). A caller can introspect only tokens with itself as the audience, an
 * administrator all.
 */
export function introspect(tokens: IssuedTokens): Handler {
  return async (request, response) => {
    const { token } = request.body as { token?: unknown }
    if (typeof token !== 'string' || token === '')
      throw badRequest('invalid_request', 'The form must contain a token (RFC 7662 §2.1).')
    const caller = callerOf(request)
    response.setHeader('cache-control', 'no-store')
    try {
      const claims = await tokens.verify(token)
      const mayKnow = !caller || caller.admin || caller.keyId === claims.aud
      sendJson(
        response,
        200,
        mayKnow
          ? { active: true, ...claims, client_id: claims.sub, token_type: 'Bearer' }
          : { active: false },
      )
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      sendJson(response, 200, { active: false })
    }
  }
}
