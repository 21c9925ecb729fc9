import { createHash } from 'node:crypto'
import { type Clock, ExpiringSet, HttpError } from '@hallpass/service-kit'
import type { Zone } from '@hallpass/token-store'

/**
 * The unexpired assertions of one client: one minute, the maximum lifetime of an assertion, at 1,000 calls per second; about
 * 9 MB when full. Each client has its own share, so none can exhaust another's.
 */
const MAX_ASSERTIONS_PER_CLIENT = 60_000
/** A store that is unavailable or full recovers within seconds, or an operator has to act. */
const RETRY_AFTER_SECONDS = '1'

/**
 * Remembers used client assertions until they expire, so that each is accepted once (RFC 7523 §3, 7). With a zone, all
 * processes that share its store remember them, and a restart forgets none; without one, only this process does.
 */
export class UsedAssertions {
  readonly #clock: Clock
  readonly #zone: Zone | undefined
  readonly #maxPerClient: number
  /** By client ID. */
  readonly #shares = new Map<string, ExpiringSet>()

  constructor(clock: Clock, zone?: Zone, maxPerClient = MAX_ASSERTIONS_PER_CLIENT) {
    this.#clock = clock
    this.#zone = zone
    this.#maxPerClient = maxPerClient
  }

  /**
   * Marks an assertion as used. Returns false if it was used before.
   * @param untilMs when no verifier accepts it any longer.
   * @throws {HttpError} 503 `too_many_assertions` if the client's share is full, 503 `assertions_unavailable` if the store does
   * not answer: a caller is rejected rather than a used assertion accepted.
   */
  async use(clientId: string, jti: string, untilMs: number): Promise<boolean> {
    const key = keyOf(clientId, jti)
    const share = this.#shareOf(clientId)
    if (share.has(key)) return false
    // Before the store, because an assertion that finds no room must not be stored there either.
    if (!share.add(key, untilMs))
      throw new HttpError(
        503,
        'too_many_assertions',
        'This client has too many unexpired assertions. Retry in a minute.',
      )
    if (!this.#zone) return true
    try {
      return await this.#zone.replace(key, undefined, { value: '', endsAt: untilMs })
    } catch (cause) {
      // Not accepted, so the caller may send it again.
      share.delete(key)
      throw new HttpError(
        503,
        'assertions_unavailable',
        `Used assertions cannot be stored, so no assertion is accepted: ${(cause as Error).message} Retry later.`,
        { cause, headers: { 'retry-after': RETRY_AFTER_SECONDS } },
      )
    }
  }

  #shareOf(clientId: string): ExpiringSet {
    let share = this.#shares.get(clientId)
    if (!share) {
      share = new ExpiringSet(this.#clock, this.#maxPerClient)
      this.#shares.set(clientId, share)
    }
    return share
  }
}

/** A hash, so that neither a long ID nor any character in one matters; NUL separates the two, and a client ID contains none. */
const keyOf = (clientId: string, jti: string) =>
  createHash('sha256').update(`${clientId}\0${jti}`).digest('base64url')
