import { type SeenEntry, type StoredEntry, StoreUnavailableError, type Zone } from '@hallpass/token-store'
import type { Identity, KeyMaker } from '../identity/identity.ts'
import { type Block, toStored, type Unblock } from './cached-token.ts'

type Word = Block | Unblock

export interface BlocksOptions {
  readonly zone: Zone
  readonly keys: KeyMaker
  readonly clock: () => number
  readonly onProblem?: (error: unknown, what: string) => void
}

/** What an operator speaks of: one identity, or a user with all of its agents. */
export interface BlockTarget {
  readonly key: string
  readonly readable: string
  readonly user?: string
}

/** Each proxy has all blocks in its memory, some 300 bytes each: 15 MB. More users than that are blocked at the auth tier. */
const MAX_BLOCKS = 50_000
/** How often the memory and the store are compared: what the store could not take, or has lost, is written (again). */
const COMPARE_MS = 1_000
/** Another proxy can write the same key at the same moment; that it does so this often is impossible. */
const MAX_ATTEMPTS = 10
/** At start; longer than an empty Redis takes to count as empty. A store that is away must not hold up the start. */
const START_TIMEOUT_MS = 3_000

/** A block that holds at this proxy, and that the others could not be told of. */
export class BlockNotSharedError extends Error {
  override readonly name = 'BlockNotSharedError'
}

/**
 * All blocks, in this process and in the store that the proxies share. This process enforces what it knows, whatever
 * becomes of the store: an entry that is missing there is one that was lost, and is written back. Only a word with a
 * higher revision ends a block before its time.
 */
export class Blocks {
  readonly #options: BlocksOptions
  readonly #words = new Map<string, Word>()
  /** The active blocks, as a request finds them without a hash. */
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

  /** Resolves when the blocks are known, or after a while without them: then no request is served until they are. */
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

  /** The block that a request meets, as far as this process knows. */
  find({ user, key }: Identity): Block | undefined {
    const block = this.#users.get(user) ?? this.#identities.get(key)
    return block && block.endsAt > this.#options.clock() ? block : undefined
  }

  /**
   * The block that a request meets, as the store knows it now.
   * @throws {StoreUnavailableError} when it cannot be asked, or nothing is known yet.
   */
  async ask(identity: Identity): Promise<Block | undefined> {
    if (!this.#isLoaded) throw new StoreUnavailableError(new Error('the blocks are not known yet'))
    await Promise.all([this.#ask(this.#options.keys.userKey(identity.user)), this.#ask(identity.key)])
    return this.find(identity)
  }

  /** The active blocks. */
  *all(): Iterable<Block> {
    const now = this.#options.clock()
    for (const word of this.#words.values()) if (word.kind === 'block' && word.endsAt > now) yield word
  }

  has(key: string): boolean {
    const word = this.#words.get(key)
    return word?.kind === 'block' && word.endsAt > this.#options.clock()
  }

  /** Whether what this process knows is all that there is. */
  get areKnown(): boolean {
    return this.#isLoaded
  }

  get count(): number {
    return this.#users.size + this.#identities.size
  }

  /** The same at two proxies that know the same. */
  get fingerprint(): string {
    return (this.#fingerprint >>> 0).toString(16)
  }

  /**
   * Holds here as soon as it is called.
   * @throws {BlockNotSharedError} when the store did not take it, so that the other proxies do not know.
   */
  async block(target: BlockTarget, endsAt: number): Promise<void> {
    if (this.count >= MAX_BLOCKS && !this.has(target.key)) throw new RangeError(`${MAX_BLOCKS} blocks`)
    await this.#say('block', target, endsAt)
  }

  /** Ends a block here and, through the store, at every proxy. */
  async unblock(target: BlockTarget): Promise<void> {
    await this.#ask(target.key).catch(() => {})
    // As long as the block would last: a proxy that missed this word must not bring the block back.
    const known = this.#words.get(target.key)
    if (known && this.has(target.key)) await this.#say('unblock', target, known.endsAt)
  }

  /** @throws {Error} while blocks are not known, or not known to the other proxies. */
  check(): void {
    if (!this.#isLoaded) throw new Error('the blocks are not known yet, so no token is given out')
    if (this.#unsaved.size > 0)
      throw new Error(`${this.#unsaved.size} blocks hold at this proxy only: the store did not take them`)
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

  /** Takes over what the store knows of one key. */
  async #ask(key: string): Promise<void> {
    const seen = await this.#options.zone.get(key)
    const word = seen && decode(seen)
    if (word) this.#take(key, word)
  }

  /** One at a time; a wish that comes meanwhile is granted afterwards. Never rejects. */
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
      // Before the zone is watched it may be that the others have not yet written back what an empty store has lost.
      if (zone.isWatching()) this.#isLoaded = true
      const now = clock()
      for (const [key, word] of this.#words)
        if (word.endsAt <= now) this.#forget(key, word)
        else if (!isSame(stored.get(key), word)) await this.#writeBack(key)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) onProblem?.(error, 'the blocks could not be compared')
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
    // Another tier in the same store blocks for itself.
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

/** Of two words with one revision, said at two proxies at once, the stricter counts. */
function isNewer(word: Word, known: Word): boolean {
  if (word.revision !== known.revision) return word.revision > known.revision
  if (word.kind !== known.kind) return word.kind === 'block'
  return word.endsAt > known.endsAt
}

const isSame = (one: Word | undefined, other: Word) =>
  one?.revision === other.revision && one.kind === other.kind && one.endsAt === other.endsAt

/** FNV-1a; it tells apart, it does not protect. */
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
