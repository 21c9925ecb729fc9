import { HttpError, PeerError, Tally } from '@hallpass/service-kit'
import { type SeenEntry, StoreFullError, StoreUnavailableError, type Zone } from '@hallpass/token-store'
import type { Identity, KeyMaker } from '../identity/index.ts'
import type { Blocks } from './blocks.ts'
import { type CacheFigures, noFigures } from './cache-figures.ts'
import { type CachedToken, type CacheEntry, endOf, fromStored, toStored } from './cached-token.ts'
import { type Copy, LocalCopies, type LocalCopiesOptions } from './local-copies.ts'
import { type Asker, TokenIssuer, type TokenIssuerOptions } from './token-issuer.ts'
import {
  placeInSeconds,
  readRecord,
  toRecord,
  type UserLimits,
  type UserRecord,
  withPlace,
} from './user-tokens.ts'

/** How the cache found an entry, in nginx's terms. */
export type CacheStatus = 'HIT' | 'MISS' | 'EXPIRED' | 'STALE' | 'UPDATING'

export interface Found {
  readonly entry: CacheEntry
  readonly status: CacheStatus
}

export interface TokenCacheOptions extends LocalCopiesOptions, TokenIssuerOptions, UserLimits {
  /** A {@link UserRecord} per user. */
  readonly users: Zone
  readonly blocks: Blocks
  readonly keys: KeyMaker
  /** The maximum lifetime of a token. User records are kept as long, so that they list every token. */
  readonly maxLifetimeMs: number
  /** How long the others wait for a lease holder that was killed; longer than a call to the issuer can take. */
  readonly leaseMs: number
  /** How long a request waits for another process to fetch the token. */
  readonly waitMs: number
}

/** The polling interval while another process fetches; a read costs microseconds (lmdb) or 0.1 ms (Redis). */
const POLL_MS = 20
/** After the store did not answer, copies are used for this long, so that not every request waits for the timeout. */
const STORE_PAUSE_MS = 500

/**
 * The tokens of all callers: copies in this process, in front of the store that all proxies share. If many requests at many
 * proxies miss concurrently, only one of them calls the issuer.
 */
export class TokenCache {
  readonly figures: CacheFigures = noFigures()
  readonly #options: TokenCacheOptions
  readonly #copies: LocalCopies
  readonly #issuer: TokenIssuer
  readonly #flights = new Map<string, Promise<Found>>()
  /** The number of flights per user. */
  readonly #flightsOf = new Tally<string>()
  readonly #renewals = new Set<string>()
  #storeAwayUntil = 0

  constructor(options: TokenCacheOptions) {
    this.#options = options
    this.#copies = new LocalCopies(options)
    this.#issuer = new TokenIssuer(options, this.figures)
  }

  get copies(): number {
    return this.#copies.size
  }

  /** Returns an entry that is available without waiting, as for nearly every request. */
  peek(identity: Identity): Found | undefined {
    const block = this.#options.blocks.find(identity)
    if (block) return this.#count({ entry: block, status: 'HIT' })
    const copy = this.#copies.current(identity.key)
    if (!copy) return undefined
    const { entry } = copy
    const now = this.#options.clock()
    if (entry.kind !== 'token') return entry.endsAt > now ? this.#count({ entry, status: 'HIT' }) : undefined
    if (entry.freshUntil <= now)
      return copy.retryAt > now && entry.usableUntil > now
        ? this.#count({ entry, status: 'STALE' })
        : undefined
    if (copy.renewAt > now) return this.#count({ entry, status: 'HIT' })
    this.#renewAhead(identity, copy)
    return this.#count({ entry, status: 'UPDATING' })
  }

  /**
   * Returns the entry for a caller from the store or the issuer; concurrent requests share one lookup.
   * @throws {HttpError} if no token is available, with the status for the caller.
   */
  async obtain(identity: Identity, asker: Asker): Promise<Found> {
    const flying = this.#flights.get(identity.key)
    if (flying !== undefined) {
      const { entry, status } = await flying
      return this.#count({ entry, status: status === 'STALE' ? status : 'HIT' })
    }
    const { user, key } = identity
    // Requests beyond the token limit cannot get a token, so they do not wait.
    if (this.#flightsOf.of(user) >= this.#options.tokensPerUser) throw this.#tooMany(1)
    const flight = this.#fetch(identity, asker)
    this.#flights.set(key, flight)
    this.#flightsOf.add(user)
    try {
      return this.#count(await flight)
    } finally {
      this.#flights.delete(key)
      this.#flightsOf.remove(user)
    }
  }

  #tooMany(retryAfterSeconds: number): HttpError {
    this.figures.limited += 1
    const { tokensPerUser } = this.#options
    return new HttpError(
      429,
      'too_many_tokens',
      `This user has reached the limit of ${tokensPerUser} tokens, one per client (user-agent). Retry later or with a client that has one. See TOKENS_PER_USER.`,
      { headers: { 'retry-after': String(retryAfterSeconds) } },
    )
  }

  #count(found: Found): Found {
    const { figures } = this
    if (found.entry.kind === 'block') figures.blocked += 1
    else if (found.entry.kind === 'refusal') figures.refused += 1
    else if (found.status === 'STALE') figures.stale += 1
    else if (found.status === 'MISS' || found.status === 'EXPIRED') figures.misses += 1
    else figures.hits += 1
    return found
  }

  async #fetch(identity: Identity, asker: Asker): Promise<Found> {
    if (this.#storeAwayUntil > performance.now()) {
      const copy = this.#lastKnown(identity)
      if (copy) return copy
    }
    try {
      return await this.#fetchThroughStore(identity, asker)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      this.figures.storeFailures += 1
      this.#storeAwayUntil = performance.now() + STORE_PAUSE_MS
      const copy = this.#lastKnown(identity)
      if (copy) return copy
      // Without the store, a block cannot be ruled out and a new token cannot be stored, so none is issued.
      const isFull = error instanceof StoreFullError
      throw new HttpError(
        503,
        isFull ? 'store_full' : 'store_unavailable',
        isFull
          ? 'The shared store is full, so no new tokens are issued.'
          : 'The shared store is unavailable.',
        { cause: error, headers: { 'retry-after': '1' } },
      )
    }
  }

  async #fetchThroughStore(identity: Identity, asker: Asker): Promise<Found> {
    const { zone, keys, waitMs, leaseMs } = this.#options
    const patience = performance.now() + waitMs
    for (;;) {
      const { entry, record } = await this.#read(identity)
      if (entry && this.#isSettled(entry)) return { entry, status: 'HIT' }
      if (!entry) this.#place(identity, record)
      // One lease per user, not per key, so that there is at most one call to the issuer per user at a time.
      const lease = await zone.lease(keys.userKey(identity.user), leaseMs)
      if (lease) {
        try {
          const found = await this.#mint(identity, asker)
          if (found) return found
        } finally {
          await lease.release()
        }
      }
      if (performance.now() > patience) return this.#lastKnown(identity) ?? raise(delayed())
      if (!lease) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  /** @throws {HttpError} 429 if the user has reached its token limit. */
  #place({ key }: Identity, record: UserRecord) {
    const { clock, maxAgeMs } = this.#options
    const now = clock()
    const place = withPlace(record, key, now + maxAgeMs, now, this.#options)
    return place ?? raise(this.#tooMany(placeInSeconds(record, now)))
  }

  /** Reads the store. A block takes precedence over everything else, and a refusal applies to all clients of a user. */
  async #read(identity: Identity) {
    const { zone, keys, users, blocks, clock } = this.#options
    const { changes } = this.#copies
    const [seen, seenRecord, block] = await Promise.all([
      zone.get(identity.key),
      users.get(keys.userKey(identity.user)),
      blocks.ask(identity),
    ])
    const record = readRecord(seenRecord)
    const known = block ?? (seen ? await this.#decode(identity, seen) : undefined)
    const refusal = record.refusal && record.refusal.endsAt > clock() ? record.refusal : undefined
    const entry = known && (!refusal || this.#isSettled(known)) ? known : (refusal ?? known)
    // Blocks are stored by `Blocks`.
    if (entry && entry.kind !== 'block') this.#copies.keep(identity.key, entry, changes)
    return { entry, seen, record, seenRecord }
  }

  /** Verifies stored tokens like the issuer's responses, so that a manipulated store cannot inject tokens. */
  async #decode(identity: Identity, seen: SeenEntry): Promise<CacheEntry | undefined> {
    try {
      const entry = fromStored(seen)
      if (entry.kind === 'token') await this.#options.verify(entry.token, identity.user)
      return entry
    } catch (error) {
      if (error instanceof PeerError) throw error
      this.#options.onProblem?.(error, 'ignored an invalid store entry')
      return undefined
    }
  }

  #isSettled(entry: CacheEntry): boolean {
    return (entry.kind === 'token' ? entry.freshUntil : entry.endsAt) > this.#options.clock()
  }

  /**
   * Calls the issuer; only for the holder of the lease. Returns `undefined` if another process wrote meanwhile, so that the
   * store must be read again.
   */
  async #mint(identity: Identity, asker: Asker, renewal = false): Promise<Found | undefined> {
    const { zone, users, keys, blocks, clock, maxLifetimeMs } = this.#options
    // Another process can have fetched the token before this one got the lease.
    const { entry: before, seen, record, seenRecord } = await this.#read(identity)
    if (
      before &&
      this.#isSettled(before) &&
      !(renewal && before.kind === 'token' && this.#wantsRenewal(before))
    )
      return { entry: before, status: 'HIT' }
    const old = before?.kind === 'token' && before.usableUntil > clock() ? before : undefined
    const place = this.#place(identity, record)
    const userKey = keys.userKey(identity.user)
    // The token's place is reserved before the call to the issuer, so that failed calls count as well.
    if (!(await users.replace(userKey, seenRecord, toRecord(place.record, clock() + maxLifetimeMs))))
      return undefined
    if (place.left !== undefined) await zone.overrule(place.left, undefined)

    const { changes } = this.#copies
    const entry =
      (seen ? undefined : this.#copies.lost(identity.key)) ??
      (await this.#issuer.tokenFor(identity, asker, renewal))
    if (entry.kind === 'refusal') {
      if (old && entry.status !== 403) {
        this.#copies.postpone(identity.key)
        return { entry: old, status: 'STALE' }
      }
      const { tokens } = seen ? place.record : record
      const refused = toRecord({ tokens, refusal: entry }, clock() + maxLifetimeMs)
      await users.replace(userKey, await users.get(userKey), refused)
      // Remove the old token too, so that it is not used if the auth tier becomes unavailable.
      if (seen) await zone.overrule(identity.key, undefined)
    } else if (!(await zone.replace(identity.key, seen, toStored(entry)))) return undefined
    // The caller can have been blocked during the call to the issuer.
    const block = await blocks.ask(identity)
    if (block) return { entry: block, status: 'HIT' }
    this.#copies.keep(identity.key, entry, changes)
    return { entry, status: before ? 'EXPIRED' : 'MISS' }
  }

  #wantsRenewal(entry: CachedToken): boolean {
    return entry.renewAt <= this.#options.clock()
  }

  /** Returns this process's entry if the store is unavailable, until it expires. */
  #lastKnown(identity: Identity): Found | undefined {
    const entry = this.#options.blocks.find(identity) ?? this.#copies.any(identity.key)?.entry
    return entry && endOf(entry) > this.#options.clock() ? { entry, status: 'STALE' } : undefined
  }

  /** Renews a token in the background while it is still used; no request waits for the renewal or fails with it. */
  #renewAhead(identity: Identity, copy: Copy): void {
    if (this.#renewals.has(identity.key)) return
    this.#renewals.add(identity.key)
    this.#copies.renewLater(copy)
    this.#renew(identity)
      .catch((error) => this.#options.onProblem?.(error, 'could not renew a token'))
      .finally(() => this.#renewals.delete(identity.key))
  }

  async #renew(identity: Identity): Promise<void> {
    const { zone, keys, leaseMs } = this.#options
    const lease = await zone.lease(keys.userKey(identity.user), leaseMs)
    if (!lease) return
    try {
      await this.#mint(identity, { requestId: 'renewal' }, true)
    } finally {
      await lease.release()
    }
  }
}

const delayed = () =>
  new HttpError(503, 'token_delayed', 'Another proxy is still fetching the token. Retry.', {
    headers: { 'retry-after': '1' },
  })

function raise(error: Error): never {
  throw error
}
