import type { Clock } from '@hallpass/service-kit'
import { TokenError } from '@hallpass/tokens'

/** An hour of ten revocations a second; about 5 MB. Revoking more at once means rotating the key. */
const MAX_REVOKED = 36_000

/**
 * The `jti` of tokens that were revoked before they expired (RFC 7009). Whoever asks this factory learns of it at once;
 * who verifies offline learns it from the token's expiry. Kept in memory: a restart forgets them.
 */
export class RevokedTokens {
  readonly #untilMs = new Map<string, number>()
  readonly #clock: Clock
  readonly #max: number

  constructor(clock: Clock, max = MAX_REVOKED) {
    this.#clock = clock
    this.#max = max
  }

  /** False when there is no room: the caller must be told that the token is still good. */
  revoke({ jti, exp }: Readonly<Record<string, unknown>>): boolean {
    if (this.#untilMs.size >= this.#max) this.#forgetExpired()
    if (this.#untilMs.size >= this.#max) return false
    this.#untilMs.set(String(jti), Number(exp) * 1000)
    return true
  }

  /** @throws {TokenError} `revoked` */
  refuse({ jti }: Readonly<Record<string, unknown>>): void {
    if (this.#untilMs.size > 0 && this.#untilMs.has(String(jti)))
      throw new TokenError('revoked', 'jwt revoked')
  }

  #forgetExpired() {
    const now = this.#clock()
    for (const [jti, untilMs] of this.#untilMs) if (untilMs <= now) this.#untilMs.delete(jti)
  }
}
