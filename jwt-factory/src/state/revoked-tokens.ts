import { type Clock, HttpError } from '@hallpass/service-kit'
import type { Change, StoredEntry, Zone } from '@hallpass/token-store'
import { nameOf, RevocationTable } from './revocation-table.ts'
import { onState } from './state-unavailable.ts'

/**
 * What one process can issue in an hour, the longest lifetime: 1,333 tokens per second, as measured. In memory 160 MB, in
 * lmdb 1.4 GB (280 bytes an entry).
 */
const MAX_REVOKED = 5_000_000
/** A tenth: nine callers can revoke everything that they get, and the tenth still has its share. */
const MAX_REVOKED_OF_A_CALLER = MAX_REVOKED / 10
/** The counts of a caller are kept by the minute in which entries expire. */
const BUCKET_MS = 60_000
const RELOAD_MS = 1_000
/**
 * The writes that a failover loses are milliseconds old, and no others follow until it is over. At 1,333 per second, 16 MB.
 */
const RECENT_MS = 60_000
/** Reading five million entries takes a minute, in which requests must be answered: a pause after some milliseconds. */
const AT_A_TIME = 500

export interface RevokedTokensOptions {
  readonly zone: Zone
  readonly clock: Clock
  /** How long after its `exp` a token would still be accepted. */
  readonly leewaySeconds: number
  readonly onFailure: (error: unknown, what: string) => void
  readonly max?: number
  readonly maxOfACaller?: number
}

interface TokenName {
  readonly jti?: unknown
  readonly exp?: unknown
}

/**
 * The `jti` of unexpired revoked tokens (RFC 7009), in the store and, for all replicas, in memory. A revocation is in the
 * store before it is confirmed; the other replicas know it half a second later.
 */
export class RevokedTokens {
  readonly #options: Required<RevokedTokensOptions>
  readonly #table = new RevocationTable()
  /** The number of entries of each caller, by the minute of their expiry. */
  readonly #counts = new Map<string, Map<number, number>>()
  /** What this process has stored lately, which a failover may lose. */
  readonly #recent = new Map<string, { readonly entry: StoredEntry; readonly storedAt: number }>()
  #isLoaded = false
  #loading: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: RevokedTokensOptions) {
    this.#options = { max: MAX_REVOKED, maxOfACaller: MAX_REVOKED_OF_A_CALLER, ...options }
  }

  /** Begins to read all revocations, and follows their changes. Until all are read, each token is looked up in the store. */
  start(): void {
    this.#options.zone.watch((change) => this.#follow(change))
    void this.#reload()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  get count(): number {
    return this.#table.size
  }

  /**
   * Revokes a token.
   * @param caller who revokes it; its share is limited, so that it cannot use up the room of others.
   * @param isAdmin an administrator's share is not limited.
   * @throws {HttpError} 503 `too_many_revoked`, `state_unavailable`: the token is still valid, which the caller must
   * report.
   */
  async revoke({ jti, exp }: TokenName, caller: string, isAdmin = false): Promise<void> {
    const { clock, leewaySeconds, max, maxOfACaller, zone } = this.#options
    const name = nameOf(String(jti))
    const endsAt = (Number(exp) + leewaySeconds) * 1000
    if (endsAt <= clock()) return
    await onState(async () => {
      const seen = await zone.get(name)
      if (!seen) {
        if (!isAdmin && this.#countOf(caller) >= maxOfACaller)
          throw tooMany(`${caller} has revoked ${maxOfACaller} tokens that have not expired yet`)
        if (this.#table.size >= max) this.#table.removeExpired(clock() / 1000)
        if (this.#table.size >= max) throw tooMany(`${max} tokens that have not expired yet are revoked`)
        const entry = { value: caller, endsAt }
        await zone.replace(name, undefined, entry)
        this.#keepRecent(name, entry)
      }
      this.#add(name, seen?.value ?? caller, endsAt)
      // Also for an old one: its process may have been killed before it announced it.
      await zone.announce(name)
    })
  }

  /** Tests whether a token is revoked. @throws {HttpError} 503 `state_unavailable` if that cannot be known now. */
  has({ jti }: TokenName): boolean | Promise<boolean> {
    const { clock, zone } = this.#options
    if (this.#table.has(String(jti), clock() / 1000)) return true
    if (this.#isLoaded && zone.isWatching()) return false
    return onState(async () => (await zone.get(nameOf(String(jti)))) !== undefined)
  }

  #add(name: string, caller: string, endsAt: number): void {
    const now = this.#options.clock()
    if (!this.#table.add(name, endsAt / 1000, now / 1000)) return
    const counts = this.#counts.get(caller) ?? new Map<number, number>()
    const bucket = Math.floor(endsAt / BUCKET_MS)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
    this.#counts.set(caller, counts)
  }

  #countOf(caller: string): number {
    const counts = this.#counts.get(caller)
    if (!counts) return 0
    const current = Math.floor(this.#options.clock() / BUCKET_MS)
    let count = 0
    for (const [bucket, entries] of counts)
      if (bucket < current) counts.delete(bucket)
      else count += entries
    if (counts.size === 0) this.#counts.delete(caller)
    return count
  }

  #follow(change: Change): void {
    if (typeof change === 'object') {
      void this.#read(change.key).catch(() => void this.#reload())
      return
    }
    if (change === 'emptied') void this.#writeBack()
    else if (this.#isLoaded) void this.#reload()
  }

  async #read(name: string): Promise<void> {
    const entry = await this.#options.zone.get(name)
    if (entry) this.#add(name, entry.value, entry.endsAt)
  }

  #keepRecent(name: string, entry: StoredEntry): void {
    const now = performance.now()
    // In the order of insertion.
    for (const [old, { storedAt }] of this.#recent)
      if (now - storedAt > RECENT_MS) this.#recent.delete(old)
      else break
    this.#recent.set(name, { entry, storedAt: now })
  }

  /** Stores again what was stored lately, unless it is there. */
  async #putBack(): Promise<void> {
    const { zone } = this.#options
    for (const [name, { entry }] of [...this.#recent])
      if (await zone.replace(name, undefined, entry)) await zone.announce(name)
  }

  async #writeBack(): Promise<void> {
    const { clock, onFailure, zone } = this.#options
    onFailure(new Error('The store is empty.'), 'the store has lost all revocations; they are written back')
    try {
      for (const [name, endsAtSeconds] of this.#table.entries(clock() / 1000))
        await zone.replace(name, undefined, { value: '', endsAt: endsAtSeconds * 1000 })
    } catch (error) {
      onFailure(error, 'the revocations could not be written back to the store')
    }
  }

  /** Until it succeeds, each token is looked up in the store. */
  #reload(): Promise<void> {
    clearTimeout(this.#timer)
    this.#isLoaded = false
    this.#loading ??= this.#load()
      .then(() => {
        this.#isLoaded = true
      })
      .catch((error: unknown) => {
        this.#options.onFailure(error, 'the revocations could not be read from the store; it is tried again')
        if (!this.#stopped) this.#timer = setTimeout(() => void this.#reload(), RELOAD_MS)
      })
      .finally(() => {
        this.#loading = undefined
      })
    return this.#loading
  }

  async #load(): Promise<void> {
    await this.#putBack()
    let read = 0
    for await (const [name, { value, endsAt }] of this.#options.zone.entries()) {
      this.#add(name, value, endsAt)
      read += 1
      if (read % AT_A_TIME === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const tooMany = (what: string) =>
  new HttpError(
    503,
    'too_many_revoked',
    `The token is not revoked: ${what}. To refuse all tokens of a key now, withdraw it: POST /keys/:keyId/withdraw.`,
  )
