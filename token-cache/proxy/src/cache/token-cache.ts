import { HttpError, PeerError, type TraceContext } from '@hallpass/service-kit'
import { type SeenEntry, StoreFullError, StoreUnavailableError, type Zone } from '@hallpass/token-store'
import { describeIdentity, type Identity, type KeyMaker } from '../identity/identity.ts'
import type { Blocks } from './blocks.ts'
import { type CacheFigures, noFigures } from './cache-figures.ts'
import {
  type CachedToken,
  type CacheEntry,
  endOf,
  fromStored,
  type LifeRules,
  lifeOf,
  type Refusal,
  toStored,
} from './cached-token.ts'
import { RecentCopies } from './recent-copies.ts'
import {
  placeInSeconds,
  readRecord,
  toRecord,
  type UserLimits,
  type UserRecord,
  withPlace,
} from './user-tokens.ts'

/** As nginx calls it: how the cache came by what it answers. */
export type CacheStatus = 'HIT' | 'MISS' | 'EXPIRED' | 'STALE' | 'UPDATING'

export interface Found {
  readonly entry: CacheEntry
  readonly status: CacheStatus
}

/** The request for which a token is wanted. */
export interface Asker {
  readonly requestId: string
  readonly trace?: TraceContext
}

export interface TokenCacheOptions extends LifeRules, UserLimits {
  /** The tokens, by the keys of their identities. */
  readonly zone: Zone
  /** What is known of each user: see {@link UserRecord}. */
  readonly users: Zone
  readonly blocks: Blocks
  readonly keys: KeyMaker
  /** Asks the auth tier; a 403 is its word about the user, anything else its failure. */
  readonly issue: (identity: Identity, asker: Asker) => Promise<string>
  /** The claims of a token that is good and the user's; throws otherwise. */
  readonly verify: (
    token: string,
    user: string,
  ) => Promise<{ readonly claims: Readonly<Record<string, unknown>> }>
  readonly clock: () => number
  /** The longest life of a token; what is known of a user is kept as long, so that no token of it is forgotten. */
  readonly maxLifetimeMs: number
  /** A holder that was killed keeps the others waiting this long; longer than a call to the issuer can take. */
  readonly leaseMs: number
  /** A request waits this long for another process to bring the token. */
  readonly waitMs: number
  /** How many entries are kept in this process in front of the store. */
  readonly maxCopies: number
  readonly random?: () => number
  readonly onProblem?: (error: unknown, what: string) => void
}

/** A second: a user whom the auth tier has just let in again should not notice. */
const REFUSAL_MS = 1_000
/** Waiting for another process: a look at the store costs microseconds (lmdb) or a tenth of a millisecond (Redis). */
const POLL_MS = 20
/** When a renewal failed, or another process is at it. */
const RENEW_AGAIN_MS = 1_000

/** What is remembered in this process. */
interface Copy {
  readonly entry: CacheEntry
  /** Up to date as long as this is the current epoch. */
  readonly epoch: number
  /** The token's own time, or later when a renewal has just been tried. */
  renewAt: number
  /** Until then the issuer is not asked again, and a token that is no longer fresh serves. */
  retryAt: number
}

/** When a copy was made while something changed, nobody knows which came first. */
const NEVER = -1
/** After the store did not answer, copies serve at once for this long instead of each waiting for its time-out. */
const STORE_PAUSE_MS = 500

/**
 * The tokens of all callers: in this process as copies, behind it in the store that all proxies share. However many
 * requests of however many proxies miss at once, one of them asks the issuer.
 */
export class TokenCache {
  readonly figures: CacheFigures = noFigures()
  readonly #options: TokenCacheOptions
  readonly #copies: RecentCopies<Copy>
  readonly #flights = new Map<string, Promise<Found>>()
  /** How many of them each user has. */
  readonly #flightsOf = new Map<string, number>()
  readonly #renewals = new Set<string>()
  /** Grows when any entry may have changed: older copies then serve only when the store cannot be asked. */
  #epoch = 0
  /** The epoch whose copies a store that has lost everything is given back. */
  #lostEpoch = NEVER
  /** Grows with every change that is heard of. */
  #changes = 0
  #storeAwayUntil = 0

  constructor(options: TokenCacheOptions) {
    this.#options = options
    this.#copies = new RecentCopies(options.maxCopies)
    options.zone.watch((change) => {
      this.#changes += 1
      if (typeof change !== 'string') {
        this.#copies.delete(change.key)
        return
      }
      if (change === 'emptied') this.#lostEpoch = this.#epoch
      this.#epoch += 1
    })
  }

  get copies(): number {
    return this.#copies.size
  }

  /** What can be answered without waiting; the path of nearly every request. */
  peek(identity: Identity): Found | undefined {
    const block = this.#options.blocks.find(identity)
    if (block) return this.#count({ entry: block, status: 'HIT' })
    const copy = this.#copies.get(identity.key)
    if (!copy || copy.epoch !== this.#epoch || !this.#options.zone.isWatching()) return undefined
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
   * The entry for a caller, from the store or the issuer; of all requests that ask at once one does the work.
   * @throws {HttpError} when there is no token, with the status that the caller should see.
   */
  async obtain(identity: Identity, asker: Asker): Promise<Found> {
    const flying = this.#flights.get(identity.key)
    if (flying !== undefined) {
      const { entry, status } = await flying
      return this.#count({ entry, status: status === 'STALE' ? status : 'HIT' })
    }
    const { user, key } = identity
    const ofUser = this.#flightsOf.get(user) ?? 0
    // More than may ever get a token need not wait for that.
    if (ofUser >= this.#options.tokensPerUser) throw this.#tooMany(1)
    const flight = this.#fetch(identity, asker)
    this.#flights.set(key, flight)
    this.#flightsOf.set(user, ofUser + 1)
    try {
      return this.#count(await flight)
    } finally {
      this.#flights.delete(key)
      const left = (this.#flightsOf.get(user) ?? 1) - 1
      if (left > 0) this.#flightsOf.set(user, left)
      else this.#flightsOf.delete(user)
    }
  }

  #tooMany(retryAfterSeconds: number): HttpError {
    this.figures.limited += 1
    const { tokensPerUser } = this.#options
    return new HttpError(
      429,
      'too_many_tokens',
      `This user has ${tokensPerUser} tokens, each for another client (user-agent), and may have no more at a time (TOKENS_PER_USER). Retry later, or with a client that has one.`,
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
      // Nobody can say whether the key is blocked, or keep what the issuer gives: no new token.
      const isFull = error instanceof StoreFullError
      throw new HttpError(
        503,
        isFull ? 'store_full' : 'store_unavailable',
        isFull
          ? 'The store that the proxies share is full, so there are no new tokens.'
          : 'The store that the proxies share is not available.',
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
      // One for a user and not for a key: the issuer is called for one user once at a time.
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

  /** @throws {HttpError} 429 when the user has all the tokens that it may have. */
  #place({ key }: Identity, record: UserRecord) {
    const { clock, maxAgeMs } = this.#options
    const now = clock()
    const place = withPlace(record, key, now + maxAgeMs, now, this.#options)
    return place ?? raise(this.#tooMany(placeInSeconds(record, now)))
  }

  /** What the store knows; a block counts before anything else, and a refusal for all clients of a user. */
  async #read(identity: Identity) {
    const { zone, keys, users, blocks, clock } = this.#options
    const changes = this.#changes
    const [seen, seenRecord, block] = await Promise.all([
      zone.get(identity.key),
      users.get(keys.userKey(identity.user)),
      blocks.ask(identity),
    ])
    const record = readRecord(seenRecord)
    const known = block ?? (seen ? await this.#decode(identity, seen) : undefined)
    const refusal = record.refusal && record.refusal.endsAt > clock() ? record.refusal : undefined
    const entry = known && (!refusal || this.#isSettled(known)) ? known : (refusal ?? known)
    // A block is kept by the blocks.
    if (entry && entry.kind !== 'block') this.#keep(identity.key, entry, changes)
    return { entry, seen, record, seenRecord }
  }

  /** What others wrote is verified like what the issuer sends: a store that somebody tampered with gives no tokens. */
  async #decode(identity: Identity, seen: SeenEntry): Promise<CacheEntry | undefined> {
    try {
      const entry = fromStored(seen)
      if (entry.kind === 'token') await this.#options.verify(entry.token, identity.user)
      return entry
    } catch (error) {
      if (error instanceof PeerError) throw error
      this.#options.onProblem?.(error, 'an entry of the store is not usable')
      return undefined
    }
  }

  #isSettled(entry: CacheEntry): boolean {
    return (entry.kind === 'token' ? entry.freshUntil : entry.endsAt) > this.#options.clock()
  }

  /**
   * Asks the issuer; to be called by the holder of the lease. Answers `undefined` when another wrote meanwhile, so
   * that the store must be asked again.
   */
  async #mint(identity: Identity, asker: Asker, renewal = false): Promise<Found | undefined> {
    const { zone, users, keys, blocks, clock, maxLifetimeMs } = this.#options
    // Between the look and the lease somebody else may have done it.
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
    // The place is taken before the issuer is called: whatever becomes of the call, it counts.
    if (!(await users.replace(userKey, seenRecord, toRecord(place.record, clock() + maxLifetimeMs))))
      return undefined
    if (place.left !== undefined) await zone.overrule(place.left, undefined)

    const changes = this.#changes
    const entry = (seen ? undefined : this.#lost(identity)) ?? (await this.#ask(identity, asker, renewal))
    if (entry.kind === 'refusal') {
      if (old && entry.status !== 403) {
        this.#postpone(identity.key)
        return { entry: old, status: 'STALE' }
      }
      const { tokens } = seen ? place.record : record
      const refused = toRecord({ tokens, refusal: entry }, clock() + maxLifetimeMs)
      await users.replace(userKey, await users.get(userKey), refused)
      // Nor may the old token serve once the auth tier cannot be asked any more.
      if (seen) await zone.overrule(identity.key, undefined)
    } else if (!(await zone.replace(identity.key, seen, toStored(entry)))) return undefined
    // Who was blocked while the issuer was asked gets nothing of what it gave.
    const block = await blocks.ask(identity)
    if (block) return { entry: block, status: 'HIT' }
    this.#keep(identity.key, entry, changes)
    return { entry, status: before ? 'EXPIRED' : 'MISS' }
  }

  /** The token that this process has of a store that has lost it. */
  #lost(identity: Identity): CachedToken | undefined {
    const copy = this.#copies.get(identity.key)
    if (copy?.epoch !== this.#lostEpoch || copy.entry.kind !== 'token') return undefined
    return copy.entry.freshUntil > this.#options.clock() ? copy.entry : undefined
  }

  #postpone(key: string): void {
    const copy = this.#copies.get(key)
    if (copy) copy.retryAt = copy.renewAt = this.#options.clock() + RENEW_AGAIN_MS
  }

  #wantsRenewal(entry: CachedToken): boolean {
    return entry.renewAt <= this.#options.clock()
  }

  /** A new token, or a refusal to be remembered for a moment. */
  async #ask(identity: Identity, asker: Asker, renewal: boolean): Promise<CachedToken | Refusal> {
    const { issue, verify, clock, random } = this.#options
    this.figures.issuerCalls += 1
    if (renewal) this.figures.renewals += 1
    try {
      const token = await issue(identity, asker)
      const { claims } = await verify(token, identity.user)
      const life = lifeOf(Number(claims.exp) * 1000, clock(), this.#options, random)
      if (!life)
        throw new HttpError(
          502,
          'token_too_short',
          'The auth tier made a token that ends too soon to be sent.',
        )
      const { jti } = claims
      return { kind: 'token', readable: describeIdentity(identity), token, jti: String(jti), ...life }
    } catch (error) {
      this.figures.issuerFailures += 1
      const refusal = toRefusal(identity, error, clock() + REFUSAL_MS)
      if (refusal.status !== 403) this.#options.onProblem?.(error, 'there is no new token')
      return refusal
    }
  }

  /** What this process knows when nobody can be asked: it serves to its very end. */
  #lastKnown(identity: Identity): Found | undefined {
    const entry = this.#options.blocks.find(identity) ?? this.#copies.get(identity.key)?.entry
    return entry && endOf(entry) > this.#options.clock() ? { entry, status: 'STALE' } : undefined
  }

  /** @param changes how many changes had been heard of before the entry was read or written. */
  #keep(key: string, entry: CacheEntry, changes: number): void {
    const renewAt = entry.kind === 'token' ? entry.renewAt : 0
    const known = this.#copies.get(key)
    const same = known?.entry.kind === 'token' && entry.kind === 'token' && known.entry.jti === entry.jti
    this.#copies.set(key, {
      entry,
      epoch: changes === this.#changes ? this.#epoch : NEVER,
      renewAt: same ? Math.max(renewAt, known.renewAt) : renewAt,
      retryAt: same ? known.retryAt : 0,
    })
  }

  /** Brings the next token while this one still serves; no request waits for it, and none fails with it. */
  #renewAhead(identity: Identity, copy: Copy): void {
    if (this.#renewals.has(identity.key)) return
    this.#renewals.add(identity.key)
    copy.renewAt = this.#options.clock() + RENEW_AGAIN_MS
    this.#renew(identity)
      .catch((error) => this.#options.onProblem?.(error, 'a token was not renewed'))
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
  new HttpError(503, 'token_delayed', 'Another proxy is fetching the token, and has not got it yet.', {
    headers: { 'retry-after': '1' },
  })

function raise(error: Error): never {
  throw error
}

function toRefusal(identity: Identity, error: unknown, endsAt: number): Refusal {
  const readable = describeIdentity(identity)
  if (error instanceof HttpError && error.status === 403)
    return { kind: 'refusal', readable, status: 403, code: error.code, message: error.message, endsAt }
  // Its message names who did not answer: the auth tier, or the factory behind it.
  if (error instanceof PeerError && error.status === 504)
    return { kind: 'refusal', readable, status: 504, code: error.code, message: error.message, endsAt }
  return {
    kind: 'refusal',
    readable,
    status: 503,
    code: 'no_token',
    message: 'There is no token to be had for this request at the moment.',
    endsAt,
  }
}
