import { badRequest, type Clock, HttpError, readJsonBody } from '@hallpass/service-kit'
import * as z from 'zod'
import { type Admission, credentialsOf, type Grant, type Revocation } from '../admission/index.ts'
import {
  type AllowedOrigins,
  answer,
  corsHeaders,
  type ExchangeHandler,
  refuseForeignOrigin,
} from '../http/index.ts'

/** Its authorizer accepts any valid token; this route decides what it is allowed to revoke. */
export interface RevokeOptions extends Admission {
  readonly adminScope: string
  /** Whether the issuer's administrators revoke tokens of all issuers, and not only of their own. */
  readonly administersAll: (issuer: string) => boolean
  /**
   * How long after a revocation the last token that it can cover is accepted, in milliseconds, for tokens of an issuer or of
   * any; Infinity if that is not known.
   */
  readonly keepMs: (issuer: string | undefined) => number
  /** How long after its `exp` a token may be accepted, in milliseconds. */
  readonly toleranceMs: number
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

type Target = Pick<Revocation, 'kind' | 'value' | 'issuer'>

/**
 * Handles `POST /revocations` with `{"jti": …}`, `{"sub": …}` or `{"session": …}`: these tokens are rejected from now on,
 * and their open streams close within a second, on every gateway. Requires the scope `stream:revoke`, except that any
 * token can revoke itself (as in RFC 7009, where possession of the token suffices).
 */
export function revoke(options: RevokeOptions): ExchangeHandler {
  const { authorizer, clock, keepMs, origins, sources, toleranceMs } = options
  return async (exchange) => {
    const { token, from } = credentialsOf(exchange, sources)
    refuseForeignOrigin(exchange, origins, from === 'cookie')
    const grant = await authorizer.authorize(token)
    exchange.record?.add({ jti: grant.tokenId })
    const target = parse(await exchange.readBody(MAX_BODY_BYTES))
    const revokedAt = clock()
    const isItself =
      target.kind === 'jti' && target.value === grant.jti && (target.issuer ?? grant.issuer) === grant.issuer
    const issuer = isItself ? grant.issuer : issuerFor(target, grant, options)
    const endsAt = isItself ? grant.expiresAt + toleranceMs : revokedAt + keepMs(issuer)
    await options.revoke({ ...target, issuer, revokedAt, endsAt: Math.ceil(endsAt) })
    answer(exchange, 204, corsHeaders(exchange, origins))
  }
}

/**
 * Returns the issuer whose tokens an administrator revokes; undefined: any.
 * @throws {HttpError} 403 if the token is not allowed to.
 */
function issuerFor({ issuer }: Target, grant: Grant, options: RevokeOptions): string | undefined {
  const { administersAll, adminScope, sources } = options
  if (!grant.roles.includes(adminScope))
    throw new HttpError(403, 'insufficient_scope', `Revoking requires the scope ${adminScope}.`, {
      headers: {
        'www-authenticate': sources.challenge({ error: 'insufficient_scope', scope: adminScope }),
      },
    })
  // Also where tokens without `exp` open streams: nothing would ever end an administrator's rights.
  if (!Number.isFinite(grant.expiresAt))
    throw new HttpError(401, 'invalid_token', 'jwt exp required', {
      headers: {
        'www-authenticate': sources.challenge({
          error: 'invalid_token',
          error_description: 'jwt exp required',
        }),
      },
    })
  if (administersAll(grant.issuer)) return issuer
  if (issuer !== undefined && issuer !== grant.issuer)
    throw new HttpError(
      403,
      'foreign_issuer',
      `An administrator of ${grant.issuer} can revoke only tokens of that issuer.`,
    )
  return grant.issuer
}

function parse(bytes: Buffer): Target {
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
