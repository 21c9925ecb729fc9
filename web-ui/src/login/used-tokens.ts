import type { SealedZone } from '@hallpass/token-store'

/**
 * The tokens that work once and were used, by their `jti`, for all replicas. Each takes a few hundred bytes until it expires,
 * and only the provider can issue one, so their number is bounded by what the provider issues within their longest lifetime.
 */
export class UsedTokens {
  readonly #zone: SealedZone

  /** @param zone pinned: if an entry were evicted, its token would work again. */
  constructor(zone: SealedZone) {
    this.#zone = zone
  }

  /** Returns whether the token is used for the first time. @param endsAt when it is rejected as expired, in milliseconds. */
  async use(jti: string, endsAt: number): Promise<boolean> {
    let isFirst = false
    await this.#zone.change<true>(name(jti), (entry) => {
      isFirst = entry === undefined
      return isFirst ? { value: true, endsAt } : undefined
    })
    return isFirst
  }

  /** The use failed, so the provider may send the token again. */
  forget(jti: string): Promise<void> {
    return this.#zone.remove(name(jti))
  }
}

const name = (jti: string) => `used token ${jti}`
