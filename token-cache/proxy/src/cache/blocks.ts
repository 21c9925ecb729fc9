import { type SeenEntry, type StoredEntry, StoreUnavailableError, type Zone } from '@hallpass/token-store'
import type { Identity, KeyMaker } from '../identity/index.ts'
import { type Block, toStored, type Unblock } from './cached-token.ts'

type Word = Block | Unblock

export interface BlocksOptions {
  readonly zone: Zone
  readonly keys: KeyMaker
  readonly clock: () => number
  readonly onProblem?: (error: unknown, what: string) => void
}

/** What an operator blocks: one identity, or a user with any user agent. */
export interface BlockTarget {
  readonly key: string
  readonly readable: string
  readonly user?: string
}

/** 15 MB, because each proxy has all blocks in memory, at about 300 bytes each. Deny more users at the auth tier. */
const MAX_BLOCKS = 50_000
/** How often memory and store are compared; blocks that the store did not accept or has lost are written again. */
const COMPARE_MS = 1_000
/** Other proxies can write the same key concurrently, but not this many times in a row. */
const MAX_ATTEMPTS = 10
/** Longer than the wait before an empty Redis counts as empty; an unavailable store must not delay the start forever. */
const START_TIMEOUT_MS = 3_000

/** A block that applies at this proxy but could not be shared with the others. */
export class BlockNotSharedError extends Error {
  override readonly name = 'BlockNotSharedError'
}

/**
 * All blocks, in this process and in the shared store. This process enforces the blocks that it knows regardless of the
 * store: an entry that is missing there was lost, and is written back. Only an entry with a higher revision ends a block
 * before it expires.
 */
export class Blocks {
  readonly #options: BlocksOptions
  readonly #words = new Map<string, Word>()
  /** The active blocks by user and by identity, so that a lookup needs no hash. */
  readonly #users = new Map<string, Block>()
  readonly #identities = new Map<string, Block>()
  readonly #unsaved = new Set<string>()
  #fingerprint = 0
  #isLoaded = false
  #comparing: Promise<void> | undefined
  #again = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: BlocksOptions) {
    this.#options = options
    options.zone.watch((change) => {
      if (typeof change === 'string') void this.#compareSoon()
      else
        this.#ask(change.key).catch(() => {
          void this.#compareSoon()
        })
    })
  }

  /** Resolves when the blocks are loaded, or after a timeout; until they are loaded, the proxy issues no tokens. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#compareSoon(), COMPARE_MS)
    this.#timer.unref()
    const deadline = performance.now() + START_TIMEOUT_MS
    while (!this.#isLoaded && performance.now() < deadline) {
      if (this.#options.zone.isWatching()) await this.#compareSoon()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Returns the active block of an identity, as far as this process knows. */
  find({ user, key }: Identity): Block | undefined {
    const block = this.#users.get(user) ?? this.#identities.get(key)
    return block && block.endsAt > this.#options.clock() ? block : undefined
  }

  /**
   * Returns the active block of an identity, after reading the store.
   * @throws {StoreUnavailableError} if the store cannot be read or the blocks are not loaded yet.
   */
  async ask(identity: Identity): Promise<Block | undefined> {
    if (!this.#isLoaded) throw new StoreUnavailableError(new Error('the blocks are not loaded yet'))
    await Promise.all([this.#ask(this.#options.keys.userKey(identity.user)), this.#ask(identity.key)])
    return this.find(identity)
  }

  /** Yields the active blocks. */
  *all(): Iterable<Block> {
    const now = this.#options.clock()
    for (const word of this.#words.values()) if (word.kind === 'block' && word.endsAt > now) yield word
  }

  has(key: string): boolean {
    const word = this.#words.get(key)
    return word?.kind === 'block' && word.endsAt > this.#options.clock()
  }

  /** Whether all blocks have been loaded. */
  get areKnown(): boolean {
    return this.#isLoaded
  }

  get count(): number {
    return this.#users.size + this.#identities.size
  }

  /** A value that is equal at proxies that know the same blocks. */
  get fingerprint(): string {
    return (this.#fingerprint >>> 0).toString(16)
  }

  /**
   * Blocks a target: at this proxy immediately, and through the store at all proxies.
   * @throws {BlockNotSharedError} if the store did not accept the block, so that the other proxies do not know it.
   */
  async block(target: BlockTarget, endsAt: number): Promise<void> {
    if (this.count >= MAX_BLOCKS && !this.has(target.key)) throw new RangeError(`${MAX_BLOCKS} blocks`)
    await this.#say('block', target, endsAt)
  }

  /** Ends a block at this proxy and, through the store, at all proxies. */
  async unblock(target: BlockTarget): Promise<void> {
    await this.#ask(target.key).catch(() => {})
    // Kept until the block would have expired: a proxy that missed the unblock must not write the block back.
    const known = this.#words.get(target.key)
    if (known && this.has(target.key)) await this.#say('unblock', target, known.endsAt)
  }

  /** @throws {Error} while the blocks are not loaded, or some of them are not shared with the other proxies. */
  check(): void {
    if (!this.#isLoaded) throw new Error('the blocks are not loaded yet, so no tokens are issued')
    if (this.#unsaved.size > 0)
      throw new Error(`${this.#unsaved.size} blocks apply only at this proxy: the store did not accept them`)
  }

  async #say(kind: Word['kind'], { key, readable, user }: BlockTarget, endsAt: number): Promise<void> {
    const whom = { readable, ...(user === undefined ? {} : { user }) }
    const revision = (this.#words.get(key)?.revision ?? 0) + 1
    this.#take(key, { kind, ...whom, endsAt, revision })
    try {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        const seen = await this.#options.zone.get(key)
        const stored = (seen && decode(seen)?.revision) ?? 0
        const word: Word = { kind, ...whom, endsAt, revision: Math.max(revision, stored + 1) }
        this.#take(key, word)
        if (await this.#write(key, seen, word)) return
      }
      throw new StoreUnavailableError(new Error('other proxies write the same key'))
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      this.#unsaved.add(key)
      throw new BlockNotSharedError(error.message, { cause: error })
    }
  }

  async #write(key: string, seen: SeenEntry | undefined, word: Word): Promise<boolean> {
    const { zone } = this.#options
    if (!(await zone.replace(key, seen, toStored(word)))) return false
    await zone.announce(key)
    this.#unsaved.delete(key)
    return true
  }

  /** Reads one key from the store. */
  async #ask(key: string): Promise<void> {
    const seen = await this.#options.zone.get(key)
    const word = seen && decode(seen)
    if (word) this.#take(key, word)
  }

  /** Compares memory and store, one comparison at a time; a call during one causes another afterwards. Never rejects. */
  #compareSoon(): Promise<void> {
    this.#again = this.#comparing !== undefined
    this.#comparing ??= this.#compareAll().finally(() => {
      this.#comparing = undefined
      if (this.#again) void this.#compareSoon()
    })
    return this.#comparing
  }

  async #compareAll(): Promise<void> {
    const { zone, clock, onProblem } = this.#options
    try {
      const stored = new Map<string, Word>()
      for await (const [key, entry] of zone.entries()) {
        const word = decode(entry)
        if (!word) continue
        stored.set(key, word)
        this.#take(key, word)
      }
      // Before the zone is watched, the other proxies may not have written lost blocks back to an empty store yet.
      if (zone.isWatching()) this.#isLoaded = true
      const now = clock()
      for (const [key, word] of this.#words)
        if (word.endsAt <= now) this.#forget(key, word)
        else if (!isSame(stored.get(key), word)) await this.#writeBack(key)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError))
        onProblem?.(error, 'could not compare blocks with the store')
    }
  }

  async #writeBack(key: string): Promise<void> {
    const seen = await this.#options.zone.get(key)
    const word = seen && decode(seen)
    if (word) this.#take(key, word)
    const known = this.#words.get(key)
    if (known && !isSame(word, known)) await this.#write(key, seen, known)
    else this.#unsaved.delete(key)
  }

  #take(key: string, word: Word): void {
    const known = this.#words.get(key)
    if (word.endsAt <= this.#options.clock() || (known && !isNewer(word, known))) return
    // Ignores the blocks of another tier in the same store.
    if (word.user !== undefined && this.#options.keys.userKey(word.user) !== key) return
    if (known) this.#forget(key, known)
    this.#words.set(key, word)
    this.#fingerprint ^= fingerprintOf(key, word)
    if (word.kind !== 'block') return
    if (word.user === undefined) this.#identities.set(key, word)
    else this.#users.set(word.user, word)
  }

  #forget(key: string, word: Word): void {
    this.#words.delete(key)
    this.#unsaved.delete(key)
    this.#fingerprint ^= fingerprintOf(key, word)
    if (word.user === undefined) this.#identities.delete(key)
    else this.#users.delete(word.user)
  }
}

/** Returns whether an entry supersedes another. If two proxies wrote the same revision concurrently, the stricter one does. */
function isNewer(word: Word, known: Word): boolean {
  if (word.revision !== known.revision) return word.revision > known.revision
  if (word.kind !== known.kind) return word.kind === 'block'
  return word.endsAt > known.endsAt
}

const isSame = (one: Word | undefined, other: Word) =>
  one?.revision === other.revision && one.kind === other.kind && one.endsAt === other.endsAt

/** Returns an FNV-1a hash, which detects differences but is not cryptographic. */
function fingerprintOf(key: string, { kind, revision, endsAt }: Word): number {
  let value = 0x811c9dc5
  for (const char of `${key} ${kind} ${revision} ${endsAt}`)
    value = Math.imul(value ^ (char.codePointAt(0) as number), 0x01000193)
  return value
}

function decode({ value }: StoredEntry): Word | undefined {
  try {
    const word = JSON.parse(value) as Word
    return (word.kind === 'block' || word.kind === 'unblock') && Number.isSafeInteger(word.revision)
      ? word
      : undefined
  } catch {
    return undefined
  }
}
