import { callerOf } from '@hallpass/callers'
import { badRequest, type Handler, type JsonObject, scopesOf, sendJson } from '@hallpass/service-kit'
import { type Claims, TokenError } from '@hallpass/tokens'
import { clientOf, type IssuedTokens } from './issued-tokens.ts'
import { parameter } from './oauth-endpoint.ts'

/**
 * `POST /introspect` (RFC 7662): returns whether a token is valid now, for its audience, and its claims. For an invalid
 * token, returns only `active: false` (§2.2). A caller can introspect only tokens that it is the audience of, or that
 * were issued to it; an administrator all. `token_type_hint` is ignored (§2.1): all tokens are access tokens.
 */
export function introspect(tokens: IssuedTokens): Handler {
  return async (request, response) => {
    const token = parameter(request, 'token')
    if (token === undefined)
      throw badRequest('invalid_request', 'The form must contain a token (RFC 7662 §2.1).')
    const caller = callerOf(request)
    response.setHeader('cache-control', 'no-store')
    try {
      const claims = await tokens.verify(token)
      const mayKnow =
        !caller || caller.admin || caller.keyId === claims.aud || caller.keyId === clientOf(claims)
      sendJson(response, 200, mayKnow ? described(claims) : { active: false })
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      sendJson(response, 200, { active: false })
    }
  }
}

/** Returns a valid token's claims, with the members of RFC 7662 §2.2 in their types, whatever its claims of these names are. */
function described({ scope: _, ...claims }: Claims): JsonObject {
  const scopes = scopesOf({ scope: _ })
  return {
    ...claims,
    ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
    active: true,
    client_id: clientOf(claims),
    token_type: 'Bearer',
  }
}
