import { callerOf } from '@hallpass/callers'
import { badRequest, type Handler, sendJson } from '@hallpass/service-kit'
import { TokenError } from '@hallpass/tokens'
import { type AuditLog, askedBy, factsOf } from '../audit/index.ts'
import { clientOf, type IssuedTokens } from './issued-tokens.ts'
import { parameter } from './oauth-endpoint.ts'

/**
 * `POST /revoke` (RFC 7009): revokes a token before it expires. A caller can revoke its own tokens, an administrator any.
 * An invalid token needs no revocation, so the response is also 200 (§2.2). `token_type_hint` is ignored (§2.1): all tokens
 * are access tokens, so `unsupported_token_type` does not occur.
 */
export function revoke(tokens: IssuedTokens, audit: AuditLog): Handler {
  return async (request, response) => {
    const token = parameter(request, 'token')
    if (token === undefined)
      throw badRequest('invalid_request', 'The form must contain a token (RFC 7009 §2.1).')
    const caller = callerOf(request)
    try {
      const claims = await tokens.verify(token)
      if (caller && !caller.admin && caller.keyId !== clientOf(claims))
        throw badRequest('unauthorized_client', `${caller.subject} is allowed to revoke only its own tokens.`)
      await tokens.revoke(claims, caller?.subject, caller?.admin)
      await audit.record({ action: 'revoked', ...askedBy(request), ...factsOf(claims) })
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
    }
    sendJson(response, 200, {})
  }
}
