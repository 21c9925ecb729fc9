import { badRequest, type Clock, HttpError, readJsonBody } from '@hallpass/service-kit'
import * as z from 'zod'
import {
  type Authorizer,
  type CredentialSources,
  credentialsOf,
  type Revocation,
} from '../admission/index.ts'
import {
  type AllowedOrigins,
  answer,
  corsHeaders,
  type ExchangeHandler,
  refuseForeignOrigin,
} from '../http/index.ts'

export interface RevokeOptions {
  /** Accepts any valid token; this route decides what it is allowed to revoke. */
  readonly authorizer: Authorizer
  readonly adminScope: string
  readonly sources: CredentialSources
  readonly origins: AllowedOrigins
  readonly clock: Clock
  /** Resolves when all gateways have the revocation. */
  readonly revoke: (revocation: Revocation) => Promise<void>
}

/** Enough for a claim's value: the longest subjects are e-mail addresses. */
const MAX_BODY_BYTES = 2 * 1024
const text = z.string().min(1).max(512)
const body = z.union([
  z.strictObject({ jti: text, issuer: text.optional() }),
  z.strictObject({ sub: text, issuer: text.optional() }),
  z.strictObject({ session: text, issuer: text.optional() }),
])

/**
 * Handles `POST /revocations` with `{"jti": …}`, `{"sub": …}` or `{"session": …}`: these tokens are rejected from now on,
 * and their open streams close within a second, on every gateway. Requires the scope `stream:revoke`, except that any
 * token can revoke itself (as in RFC 7009, where possession of the token suffices).
 */
export function revoke(options: RevokeOptions): ExchangeHandler {
  const { authorizer, adminScope, clock, origins, sources } = options
  return async (exchange) => {
    const { token, from } = credentialsOf(exchange, sources)
    refuseForeignOrigin(exchange, origins, from === 'cookie')
    const grant = await authorizer.authorize(token)
    exchange.record?.add({ jti: grant.tokenId })
    const revocation = { ...parse(await exchange.readBody(MAX_BODY_BYTES)), revokedAt: clock() }
    const itself = revocation.kind === 'jti' && revocation.value === grant.jti
    if (!grant.roles.includes(adminScope) && !itself)
      throw new HttpError(403, 'insufficient_scope', `Revoking requires the scope ${adminScope}.`, {
        headers: {
          'www-authenticate': `Bearer realm="${sources.realm}", error="insufficient_scope", scope="${adminScope}"`,
        },
      })
    await options.revoke(itself ? { ...revocation, issuer: grant.issuer } : revocation)
    answer(exchange, 204, corsHeaders(exchange, origins))
  }
}

function parse(bytes: Buffer): Omit<Revocation, 'revokedAt'> {
  const result = body.safeParse(readJsonBody(bytes))
  if (!result.success)
    throw badRequest(
      'invalid_revocation',
      'The body must be {"jti": …}, {"sub": …} or {"session": …}, with a string.',
    )
  const { issuer, ...named } = result.data
  const [kind, value] = Object.entries(named)[0] as [Revocation['kind'], string]
  return { kind, value, issuer }
}
