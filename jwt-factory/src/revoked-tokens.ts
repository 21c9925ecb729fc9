import { type Clock, ExpiringSet } from '@hallpass/service-kit'
import { TokenError } from '@hallpass/tokens'

/** An hour of ten revocations a second; about 5 MB. Revoking more at once means rotating the key. */
const MAX_REVOKED = 36_000

/**
 * The `jti` of tokens that were revoked before they expired (RFC 7009). Whoever asks this factory learns of it at once;
 * who verifies offline learns it from the token's expiry. Kept in memory: a restart forgets them.
 */
export class RevokedTokens {
  readonly #jtis: ExpiringSet

  constructor(clock: Clock, max = MAX_REVOKED) {
    this.#jtis = new ExpiringSet(clock, max)
  }

  /** False when there is no room: the caller must be told that the token is still good. */
  revoke({ jti, exp }: Readonly<Record<string, unknown>>): boolean {
    return this.#jtis.add(String(jti), Number(exp) * 1000)
  }

  /** @throws {TokenError} `revoked` */
  refuse({ jti }: Readonly<Record<string, unknown>>): void {
    if (this.#jtis.has(String(jti))) throw new TokenError('revoked', 'jwt revoked')
  }
}
