import { type Clock, HttpError } from '@hallpass/service-kit'

/** A minute, the longest life of an assertion, at 3,000 calls a second; about 20 MB when full. */
const MAX_ASSERTIONS = 180_000

/**
 * Remembers the `jti` of each client assertion until it expires, so that it serves once (RFC 7523 §3, item 7).
 * One process remembers for itself; two instances behind a balancer would each accept an assertion once.
 */
export class UsedAssertions {
  readonly #expiry = new Map<string, number>()
  readonly #clock: Clock
  readonly #max: number

  constructor(clock: Clock, max = MAX_ASSERTIONS) {
    this.#clock = clock
    this.#max = max
  }

  /**
   * True the first time; false for an assertion that was used before.
   * @throws {HttpError} 503 when there is no room: it is safer to refuse a caller than to forget an assertion.
   */
  use(issuer: string, jti: string, expiresAtMs: number): boolean {
    const id = JSON.stringify([issuer, jti])
    const known = this.#expiry.get(id)
    if (known !== undefined && known > this.#clock()) return false
    if (this.#expiry.size >= this.#max) this.#forgetExpired()
    if (this.#expiry.size >= this.#max)
      throw new HttpError(
        503,
        'too_many_assertions',
        'Too many client assertions are alive; try again in a minute.',
      )
    this.#expiry.set(id, expiresAtMs)
    return true
  }

  #forgetExpired() {
    const now = this.#clock()
    for (const [id, expiresAtMs] of this.#expiry) if (expiresAtMs <= now) this.#expiry.delete(id)
  }
}
