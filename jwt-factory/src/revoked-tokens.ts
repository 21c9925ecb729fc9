import { type Clock, ExpiringSet } from '@hallpass/service-kit'
import { TokenError } from '@hallpass/tokens'

/** An hour of ten revocations per second; about 5 MB. To revoke more, rotate the key. */
const MAX_REVOKED = 36_000

/**
 * The `jti` of unexpired revoked tokens (RFC 7009). Services that call this factory reject them immediately; services that
 * verify offline accept them until they expire. Stored in memory: a restart forgets them.
 */
export class RevokedTokens {
  readonly #jtis: ExpiringSet
  readonly #leewaySeconds: number

  /** @param leewaySeconds how long after its `exp` a token would still be accepted. */
  constructor(clock: Clock, leewaySeconds: number, max = MAX_REVOKED) {
    this.#leewaySeconds = leewaySeconds
    this.#jtis = new ExpiringSet(clock, max)
  }

  /** Revokes a token. Returns false if there is no room; the token then stays valid, which the caller must report. */
  revoke({ jti, exp }: Readonly<Record<string, unknown>>): boolean {
    return this.#jtis.add(String(jti), (Number(exp) + this.#leewaySeconds) * 1000)
  }

  /** Rejects a revoked token. @throws {TokenError} `revoked` */
  refuse({ jti }: Readonly<Record<string, unknown>>): void {
    if (this.#jtis.has(String(jti))) throw new TokenError('revoked', 'jwt revoked')
  }
}
