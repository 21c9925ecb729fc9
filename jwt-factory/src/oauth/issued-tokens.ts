import type { Clock } from '@hallpass/service-kit'
import { anySubject, type Claims, parseCompact, type TokenLibrary, verifyToken } from '@hallpass/tokens'
import { issuerChecks, type KeyStore } from '../keys/index.ts'
import type { RevokedTokens } from '../state/index.ts'
import type { StatusLists } from '../status/index.ts'

export interface IssuedTokensOptions {
  readonly keys: KeyStore
  readonly revoked: RevokedTokens
  /** Set if tokens have a status that verifiers read offline. */
  readonly statuses?: StatusLists
  readonly issuer: string
  readonly maxLifetimeSeconds: number
  /** Tolerated clock skew: of the replica that signed the token, or of this clock before it was set back. */
  readonly leewaySeconds: number
  readonly clock: Clock
  readonly library: TokenLibrary
}

/** Verifies and revokes tokens of this factory, signed with any service's key. */
export class IssuedTokens {
  readonly #options: IssuedTokensOptions

  constructor(options: IssuedTokensOptions) {
    this.#options = options
  }

  /**
   * Verifies a token for its own audience and returns its claims. The caller must check that audience.
   * @throws {TokenError}
   */
  async verify(token: string): Promise<Claims> {
    const { keys, revoked, issuer, maxLifetimeSeconds, leewaySeconds, clock, library } = this.#options
    const { aud } = parseCompact(token).payload
    const { claims } = await verifyToken(
      token,
      {
        issuer,
        audience: typeof aud === 'string' && aud !== '' ? aud : 'nobody',
        subject: anySubject,
        keys: async (_issuer, kid) => (kid === undefined ? undefined : (await keys.find(kid))?.key),
        maxLifetimeSeconds,
        leewaySeconds,
        clock,
        library,
      },
      issuerChecks(revoked),
    )
    return claims
  }

  /**
   * Revokes a token that {@link verify} has accepted.
   * @param caller the subject of the authenticated caller, whose share of the revocations is limited; in development
   * mode, where callers have no names, the token's subject.
   * @throws {HttpError} 503 `too_many_revoked`, `state_unavailable`
   */
  async revoke(claims: Claims, caller = String(claims.sub), isAdmin = false): Promise<void> {
    await this.#options.revoked.revoke(claims, caller, isAdmin)
    await this.#options.statuses?.revoke(claims)
  }
}

/** Returns the client that a token was issued to: its `client_id` (RFC 9068 §2.2), or its subject at `/issueToken`. */
export const clientOf = ({ client_id: clientId, sub }: Claims): string =>
  typeof clientId === 'string' ? clientId : String(sub)
