import { HttpError, PeerError, type TraceContext } from '@hallpass/service-kit'
import { type SeenEntry, StoreUnavailableError, type Zone } from '@hallpass/token-store'
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
import { describeIdentity, type Identity, type KeyMaker, USER_KEY } from './identity.ts'
import { RecentCopies } from './recent-copies.ts'

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

export interface TokenCacheOptions extends LifeRules {
  readonly zone: Zone
  readonly keys: KeyMaker
  /** Asks the auth tier; a 403 is its word about the user, anything else its failure. */
  readonly issue: (identity: Identity, asker: Asker) => Promise<string>
  /** The claims of a token that is good and the user's; throws otherwise. */
  readonly verify: (
    token: string,
    user: string,
  ) => Promise<{ readonly claims: Readonly<Record<string, unknown>> }>
  readonly clock: () => number
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
  readonly #renewals = new Set<string>()
  /** Grows when any entry may have changed: older copies then serve only when the store cannot be asked. */
  #epoch = 0
  /** Grows with every change that is heard of. */
  #changes = 0
  #storeAwayUntil = 0

  constructor(options: TokenCacheOptions) {
    this.#options = options
    this.#copies = new RecentCopies(options.maxCopies)
    options.zone.watch((key) => {
      this.#changes += 1
      if (key === undefined || key.startsWith(USER_KEY)) this.#epoch += 1
      else this.#copies.delete(key)
    })
  }

  get copies(): number {
    return this.#copies.size
  }

  /** What can be answered without waiting; the path of nearly every request. */
  peek(identity: Identity): Found | undefined {
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
    const flight = this.#fetch(identity, asker)
    this.#flights.set(identity.key, flight)
    try {
      return this.#count(await flight)
    } finally {
      this.#flights.delete(identity.key)
    }
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
      // Nobody can say whether the key is blocked, so nobody gets a new token for it.
      throw new HttpError(503, 'store_unavailable', 'The store that the proxies share is not available.', {
        cause: error,
        headers: { 'retry-after': '1' },
      })
    }
  }

  async #fetchThroughStore(identity: Identity, asker: Asker): Promise<Found> {
    const patience = performance.now() + this.#options.waitMs
    for (;;) {
      const { entry } = await this.#read(identity)
      if (entry && this.#isSettled(entry)) return { entry, status: 'HIT' }
      const lease = await this.#options.zone.lease(identity.key, this.#options.leaseMs)
      if (lease) {
        try {
          const found = await this.#mint(identity, asker)
          if (found) return found
        } finally {
          await lease.release()
        }
      } else if (performance.now() > patience) {
        return this.#lastKnown(identity) ?? raise(delayed())
      } else {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    }
  }

  /** What the store knows; a block of the user counts before anything else. */
  async #read(identity: Identity): Promise<{ entry?: CacheEntry; seen?: SeenEntry }> {
    const { zone, keys } = this.#options
    const changes = this.#changes
    const [seen, ofUser] = await Promise.all([zone.get(identity.key), zone.get(keys.userKey(identity.user))])
    const block = ofUser ? fromStored(ofUser) : undefined
    const entry = block?.kind === 'block' ? block : seen ? await this.#decode(identity, seen) : undefined
    if (entry) this.#keep(identity.key, entry, changes)
    return { ...(entry ? { entry } : {}), ...(seen ? { seen } : {}) }
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
   * Asks the issuer; to be called by whoever holds the lease. Answers `undefined` when an operator wrote meanwhile, so
   * that the store must be asked again.
   */
  async #mint(identity: Identity, asker: Asker, renewal = false): Promise<Found | undefined> {
    // Between the look and the lease somebody else may have done it.
    const { entry: before, seen } = await this.#read(identity)
    if (
      before &&
      this.#isSettled(before) &&
      !(renewal && before.kind === 'token' && this.#wantsRenewal(before))
    )
      return { entry: before, status: 'HIT' }
    const old = before?.kind === 'token' && before.usableUntil > this.#options.clock() ? before : undefined
    const changes = this.#changes
    const entry = await this.#ask(identity, asker, renewal)
    if (old && entry.kind === 'refusal' && entry.status !== 403) {
      this.#postpone(identity.key)
      return { entry: old, status: 'STALE' }
    }
    if (!(await this.#options.zone.replace(identity.key, seen, toStored(entry)))) return undefined
    this.#keep(identity.key, entry, changes)
    return { entry, status: before ? 'EXPIRED' : 'MISS' }
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
    const entry = this.#copies.get(identity.key)?.entry
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
    const lease = await this.#options.zone.lease(identity.key, this.#options.leaseMs)
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
  return {
    kind: 'refusal',
    readable,
    status: 503,
    code: 'no_token',
    message: 'There is no token to be had for this request at the moment.',
    endsAt,
  }
}
