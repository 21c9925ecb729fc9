import { createHash } from 'node:crypto'
import { HttpError, type Logger } from '@hallpass/service-kit'
import { type SharedStore, type StoredEntry, StoreUnavailableError, type Zone } from '@hallpass/token-store'
import * as z from 'zod'
import type { Grant } from './grant.ts'
import { isSame, keyOf, type Revocation, type Revocations } from './revocations.ts'

export interface SharedRevocationsOptions {
  /** Shared by all gateways (Redis), or by those on this machine; a restarted gateway finds its revocations there. */
  readonly store: SharedStore
  readonly revocations: Revocations
  readonly log: Logger
}

/** How often this gateway checks whether the store lacks a revocation. It hears of a store that was emptied within 200 ms. */
const COMPARE_MS = 1_000
/** Longer than the wait before an empty Redis counts as empty; an unavailable store must not delay the start forever. */
const START_TIMEOUT_MS = 3_000
/** Reading 100,000 entries takes a second, in which streams must be served: a pause after some milliseconds. */
const AT_A_TIME = 500
/** Other gateways can write the same key concurrently, but not this many times in a row. */
const MAX_ATTEMPTS = 10
/** Stands for Infinity, which a store does not accept as an expiry. */
const NEVER = Number.MAX_SAFE_INTEGER

const storedRevocation = z.object({
  kind: z.enum(['jti', 'sub', 'session']),
  value: z.string(),
  issuer: z.string().optional(),
  revokedAt: z.number(),
})

/**
 * Stores revocations for the other gateways and for a restart. Every gateway has all of them in memory, and enforces them
 * whatever the state of the store. None is ever removed before its end, so one that the store lacks was lost, and is written
 * back.
 */
export class SharedRevocations {
  readonly #options: SharedRevocationsOptions
  readonly #zone: Zone
  #isLoaded = false
  /** Whether the store may lack a revocation that this gateway knows, or the other way round. */
  #mayDiffer = true
  #comparing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: SharedRevocationsOptions) {
    this.#options = options
    this.#zone = options.store.zone('revocations', { pinned: true })
    this.#zone.watch((change) => {
      if (typeof change === 'string') this.#compareSoon()
      else this.#read(change.key).catch(() => this.#compareSoon())
    })
  }

  /**
   * Opens the store. Resolves when the revocations are loaded, or after a timeout if Redis is unavailable; until they are
   * loaded, no token is accepted.
   * @throws {Error} if the folder of an embedded store cannot be written, with the remedy.
   */
  async start(): Promise<void> {
    const { store } = this.#options
    await store.open().catch((cause: Error) => {
      throw new Error(
        `Revocations cannot be stored: ${cause.message} Mount a writable STATE_FOLDER or STORE_FOLDER, or set REDIS_URL.`,
        { cause },
      )
    })
    this.#timer = setInterval(() => void this.#compareIfNeeded(), COMPARE_MS).unref()
    const deadline = performance.now() + START_TIMEOUT_MS
    while (!this.#isLoaded && performance.now() < deadline) {
      if (this.#zone.isWatching()) await this.#compare()
      if (!this.#isLoaded) await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#options.store.close()
  }

  /** @throws {Error} while revocations of other gateways may be unknown, or the store accepts none. */
  async check(): Promise<void> {
    if (!this.#isLoaded || !this.#zone.isWatching())
      throw new Error('The store of revocations does not answer, so those of other gateways are unknown.')
    await this.#options.store.check()
  }

  /**
   * Returns whether any revocation covers a grant.
   * @throws {HttpError} 503 until the revocations were loaded: this gateway would accept revoked tokens.
   */
  cover(grant: Grant): boolean {
    if (this.#isLoaded) return this.#options.revocations.cover(grant)
    throw new HttpError(
      503,
      'revocations_unknown',
      'Redis is unavailable, so this gateway does not know which tokens are revoked. Retry.',
      { headers: { 'retry-after': '1' } },
    )
  }

  /**
   * Revokes on this gateway immediately, and through the store on all others.
   * @throws {HttpError} 503 if the revocation took effect only on this gateway and is not stored yet.
   */
  async revoke(revocation: Revocation): Promise<void> {
    const revoked = this.#options.revocations.add(revocation)
    try {
      await this.#write(revoked)
    } catch (cause) {
      if (!(cause instanceof StoreUnavailableError)) throw cause
      this.#mayDiffer = true
      const isRedis = this.#options.store.kind === 'redis'
      throw new HttpError(
        503,
        isRedis ? 'peers_not_told' : 'revocation_not_stored',
        isRedis
          ? 'The revocation did not reach the other gateways. Retry.'
          : 'The token is revoked, but a restart would forget it: it could not be stored. Retry.',
        { cause, headers: { 'retry-after': '1' } },
      )
    }
  }

  /**
   * Writes a revocation, merged with what another gateway has written about the same tokens. Returns false if it was there.
   */
  async #write(revocation: Revocation): Promise<boolean> {
    const { revocations } = this.#options
    const key = storeKeyOf(revocation)
    let revoked = revocation
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const seen = await this.#zone.get(key)
      const stored = seen && decode(seen)
      if (stored) revoked = revocations.take(stored)
      if (stored && isSame(stored, revoked)) return false
      if (await this.#zone.replace(key, seen, encode(revoked))) {
        await this.#zone.announce(key)
        return true
      }
    }
    throw new StoreUnavailableError(new Error('other gateways write the same key'))
  }

  async #read(key: string): Promise<void> {
    const entry = await this.#zone.get(key)
    const stored = entry && decode(entry)
    if (stored) this.#options.revocations.take(stored)
  }

  #compareSoon(): void {
    this.#mayDiffer = true
    void this.#compare()
  }

  /** A store with fewer entries than this gateway has lost some, e.g. by a failover. */
  async #compareIfNeeded(): Promise<void> {
    const { revocations, log } = this.#options
    try {
      if (!this.#mayDiffer && (await this.#zone.count()) >= revocations.current.length) return
      await this.#compare()
    } catch (err) {
      log.debug({ err }, 'could not count the stored revocations')
    }
  }

  /** Compares memory and store, one comparison at a time. Never rejects. */
  #compare(): Promise<void> {
    this.#comparing ??= this.#compareAll()
      .catch((err: unknown) => {
        this.#mayDiffer = true
        this.#options.log.debug({ err }, 'could not compare revocations with the store')
      })
      .finally(() => {
        this.#comparing = undefined
      })
    return this.#comparing
  }

  async #compareAll(): Promise<void> {
    const { revocations, log } = this.#options
    this.#mayDiffer = false
    const stored = new Map<string, Revocation>()
    for await (const [key, entry] of this.#zone.entries()) {
      const revocation = decode(entry)
      if (!revocation) continue
      stored.set(key, revocation)
      revocations.take(revocation)
      if (stored.size % AT_A_TIME === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    // Until the zone is watched, other gateways may still be writing revocations back to an emptied Redis.
    if (this.#zone.isWatching()) this.#isLoaded = true
    let lost = 0
    for (const revocation of revocations.current) {
      const kept = stored.get(storeKeyOf(revocation))
      if (kept && isSame(kept, revocation)) continue
      if (await this.#write(revocation)) lost += 1
    }
    if (lost > 0) log.warn({ lost }, 'the store lacked revocations; wrote them back')
  }
}

/** A hash, because a subject of 512 characters is longer than a key of the store. */
const storeKeyOf = (revocation: Revocation) =>
  createHash('sha256').update(keyOf(revocation)).digest('base64url')

const encode = ({ endsAt, ...revocation }: Revocation): StoredEntry => ({
  value: JSON.stringify(revocation),
  endsAt: Math.min(endsAt, NEVER),
})

function decode({ value, endsAt }: StoredEntry): Revocation | undefined {
  try {
    const { success, data } = storedRevocation.safeParse(JSON.parse(value))
    return success ? { ...data, endsAt: endsAt === NEVER ? Number.POSITIVE_INFINITY : endsAt } : undefined
  } catch {
    return undefined
  }
}
