import type { TimerWheel } from '@hallpass/guarded-stream'
import type { Clock, Logger } from '@hallpass/service-kit'
import { confirmationOf, type Grant, type Revocation } from '../admission/index.ts'
import type { StreamRegistry } from './gateway-streams.ts'
import { RepeatedCheck } from './repeated-check.ts'

/** How often the tokens that are due are looked for: small next to the interval, and 20,000 streams take about a millisecond. */
const CHECK_MS = 1_000
/** Tokens are due after at least this part of the interval, at a random time: those of one herd are not all due together. */
const EARLIEST = 0.5
/**
 * Calls at a time, few next to those for new streams. An issuer that answers in 50 ms confirms 160 tokens per second: all of
 * 4,800 within 30 seconds. If there are more, the interval is longer.
 */
const MAX_AT_ONCE = 8
/** Longer than any gateway needs to get a revocation, also after Redis was unavailable to it. */
const KEPT_MS = 60_000

export interface ReintrospectionOptions {
  readonly streams: StreamRegistry
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly log: Logger
  /** A token that the issuer has revoked is found out within this time. */
  readonly intervalMs: number
  /** How long a gateway uses an answer about an active token. */
  readonly cacheMs: number
  /** How many grants that other gateways use can be confirmed here: as many as there can be streams. */
  readonly maxPassedOn: number
  /** Closes the streams of a token, at all gateways. May reject. */
  readonly revoke: (revocation: Revocation) => Promise<void>
}

/**
 * Asks the issuer again about the opaque tokens of open streams, each of them once per interval, and revokes those that it no
 * longer accepts. While the issuer is unavailable, streams stay open until their tokens expire.
 *
 * A token is only in the memory of the gateway that received it. If its grant was passed on to other gateways, this one confirms
 * it until it expires; if this one stops, the streams of the others close when their tokens expire.
 */
export class Reintrospection {
  readonly #options: ReintrospectionOptions
  readonly #checks: RepeatedCheck
  /** When each token is to be confirmed, by its `jti`. */
  #dueAt = new Map<string, number>()
  readonly #passedOn = new Map<string, Grant>()

  constructor(options: ReintrospectionOptions) {
    this.#options = options
    this.#checks = new RepeatedCheck({ ...options, pauseMs: CHECK_MS, check: () => this.#check() })
  }

  start(): void {
    this.#checks.start()
  }

  stop(): void {
    this.#checks.stop()
  }

  /** Confirms a grant until it expires, although no stream here has it. */
  passedOn(grant: Grant): void {
    const { jti } = grant
    if (jti === undefined || !confirmationOf(grant)) return
    this.#passedOn.set(jti, grant)
    const [oldest] = this.#passedOn.keys()
    if (this.#passedOn.size > this.#options.maxPassedOn && oldest !== undefined) this.#passedOn.delete(oldest)
  }

  async #check(): Promise<void> {
    const due = this.#due()
    await Promise.all(
      Array.from({ length: MAX_AT_ONCE }, async () => {
        for (let grant = due.pop(); grant && !this.#checks.isStopped; grant = due.pop())
          await this.#confirm(grant)
      }),
    )
  }

  /** Returns a grant of each token that is due, and forgets the tokens that nobody uses any more. */
  #due(): Grant[] {
    const { streams, clock } = this.#options
    const now = clock()
    const dueAt = new Map<string, number>()
    const due: Grant[] = []
    const consider = (grant: Grant) => {
      const { jti } = grant
      if (jti === undefined || dueAt.has(jti) || !confirmationOf(grant)) return
      const at = this.#dueAt.get(jti) ?? this.#nextAt(now)
      dueAt.set(jti, at > now ? at : this.#nextAt(now))
      if (at <= now) due.push(grant)
    }
    for (const { grant } of streams.all()) consider(grant)
    for (const [jti, grant] of this.#passedOn)
      if (grant.expiresAt > now) consider(grant)
      else this.#passedOn.delete(jti)
    this.#dueAt = dueAt
    return due
  }

  #nextAt(now: number): number {
    const { intervalMs } = this.#options
    return now + intervalMs * (EARLIEST + Math.random() * (1 - EARLIEST))
  }

  async #confirm(grant: Grant): Promise<void> {
    const { cacheMs, clock, log, revoke } = this.#options
    if (await confirmationOf(grant)?.()) return
    const { issuer, jti: value = '', tokenId: jti } = grant
    log.info({ jti }, 'token revoked by its issuer')
    const revokedAt = clock()
    // Later, the issuer is asked about new streams anyway.
    const endsAt = Math.ceil(Math.min(grant.expiresAt, revokedAt + cacheMs + KEPT_MS))
    this.#passedOn.delete(value)
    await revoke({ kind: 'jti', value, issuer, revokedAt, endsAt }).catch((err: unknown) =>
      // It applies here nevertheless.
      log.warn({ err, jti }, 'the revocation of a token did not reach the store'),
    )
  }
}
