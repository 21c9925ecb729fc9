import { HttpError } from '@hallpass/service-kit'
import { StoreUnavailableError, type Zone } from '@hallpass/token-store'
import {
  BlockNotSharedError,
  type Blocks,
  type BlockTarget,
  type CacheEntry,
  endOf,
  fromStored,
  readRecord,
} from '../cache/index.ts'
import {
  canonicalFieldOf,
  type KeyMaker,
  parseReadableKey,
  readableKey,
  readableUser,
  USER,
} from '../identity/index.ts'

/** The value that blocks a key, as documented. */
const BLOCKED = '0'
/** Characters that no header field can contain (RFC 9110 §5.5), so no caller has a key with them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: matching them is the purpose
const IMPOSSIBLE = /[\x00-\x08\x0a-\x1f\x7f]/

export interface KeyValuesOptions {
  readonly zone: Zone
  readonly users: Zone
  readonly blocks: Blocks
  readonly keys: KeyMaker
  /** The number of fields of an identity; a key with fewer fields means a user. */
  readonly fieldCount: number
  /** The default duration of a block. */
  readonly blockMs: number
  readonly clock: () => number
}

/** The cache as an operator sees it: readable keys, and values that identify a token without containing it. */
export class KeyValues {
  readonly #options: KeyValuesOptions

  constructor(options: KeyValuesOptions) {
    this.#options = options
  }

  async *all(): AsyncIterable<readonly [key: string, value: string]> {
    const { blocks, zone } = this.#options
    const listed = new Set<string>()
    for (const { readable } of blocks.all()) {
      listed.add(readable)
      yield [readable, BLOCKED]
    }
    for await (const [, stored] of zone.entries()) {
      const entry = decode(stored)
      if (entry && entry.kind !== 'refusal' && !listed.has(entry.readable))
        yield [entry.readable, show(entry)]
    }
  }

  /** @throws {HttpError} 400 if no caller can have this key. */
  async get(readable: string): Promise<string | undefined> {
    const { blocks, zone } = this.#options
    const { key } = this.#target(readable)
    if (blocks.has(key)) return BLOCKED
    const stored = await zone.get(key)
    const entry = stored && decode(stored)
    return entry && entry.kind !== 'refusal' ? show(entry) : undefined
  }

  /** Returns whether a key exists, or true if the store is unavailable, because blocking must work even then. */
  async mayHave(readable: string): Promise<boolean> {
    try {
      return (await this.get(readable)) !== undefined
    } catch (error) {
      if (error instanceof StoreUnavailableError) return true
      throw error
    }
  }

  /** Blocks a key, or a user if the key has fewer fields than an identity, for `milliseconds` from now. */
  async block(readable: string, milliseconds?: number): Promise<void> {
    const { blocks, blockMs, clock } = this.#options
    const target = this.#target(readable)
    const endsAt = clock() + (milliseconds ?? blockMs)
    // By default, a block lasts at least until the blocked token would expire.
    const tokenEnd = milliseconds === undefined ? await this.#tokenEnd(target.key) : 0
    await shared(target, () => blocks.block(target, Math.max(endsAt, tokenEnd)))
  }

  async #tokenEnd(key: string): Promise<number> {
    try {
      const stored = await this.#options.zone.get(key)
      const entry = stored && decode(stored)
      return entry?.kind === 'token' ? endOf(entry) : 0
    } catch {
      return 0
    }
  }

  /** Removes a key or ends its block; the next request gets a new token. */
  async remove(readable: string): Promise<void> {
    const { blocks, zone } = this.#options
    const target = this.#target(readable)
    await shared(target, () => blocks.unblock(target))
    await zone.overrule(target.key, undefined)
  }

  async clear(): Promise<void> {
    const { blocks, zone } = this.#options
    for (const { readable } of [...blocks.all()]) {
      const target = this.#target(readable)
      await shared(target, () => blocks.unblock(target))
    }
    await zone.clear()
  }

  /**
   * Returns whether a user is blocked, and its tokens by key; `undefined` if the name is not a valid user. While the store is
   * unavailable, the tokens are unknown (`null`), but this process has the blocks.
   * @throws {HttpError} 503 if the blocks are not loaded either.
   */
  async user(user: string) {
    const { blocks, keys } = this.#options
    if (!USER.test(user)) return undefined
    const tokens = await this.#tokensOf(user)
    if (tokens === null && !blocks.areKnown)
      throw new HttpError(
        503,
        'store_unavailable',
        'The shared store is unavailable and has been since this proxy started.',
        { headers: { 'retry-after': '1' } },
      )
    return { user, key: readableUser(user), blocked: blocks.has(keys.userKey(user)), tokens }
  }

  async #tokensOf(user: string): Promise<Record<string, string> | null> {
    const { users, zone, keys } = this.#options
    try {
      const record = readRecord(await users.get(keys.userKey(user)))
      const stored = await Promise.all(record.tokens.map(([key]) => zone.get(key)))
      const entries = stored.map((one) => one && decode(one)).filter((entry) => entry?.kind === 'token')
      return Object.fromEntries(entries.map((entry) => [entry?.readable, show(entry as CacheEntry)]))
    } catch (error) {
      if (error instanceof StoreUnavailableError) return null
      throw error
    }
  }

  /** Returns the canonical key of an entry, for any way in which an operator can write it. */
  #target(written: string): BlockTarget {
    const { keys, fieldCount } = this.#options
    const [user = '', ...others] = parseReadableKey(written, fieldCount)
    if (!USER.test(user))
      throw noSuchCaller('a user name has 1 to 128 visible ASCII characters without a comma')
    if (others.length + 1 < fieldCount) return { key: keys.userKey(user), readable: readableUser(user), user }
    if (others.some((field) => IMPOSSIBLE.test(field)))
      throw noSuchCaller('a header field cannot contain control characters')
    const fields = [user, ...others.map((field) => canonicalFieldOf(field.replace(/^[ \t]+|[ \t]+$/g, '')))]
    return { key: keys.keyOf(fields), readable: readableKey(fields) }
  }
}

const noSuchCaller = (why: string) =>
  keyvalError(400, 'KeyvalFormatError', `no caller can have this key: ${why}`)

/** Runs a change of a block, and turns its failures into errors that state where the block applies. */
async function shared({ readable }: BlockTarget, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof RangeError)
      throw keyvalError(
        503,
        'TooManyBlocks',
        `there are already ${error.message}; deny users at the auth tier (DENIED_USERS)`,
      )
    if (!(error instanceof BlockNotSharedError)) throw error
    throw new HttpError(
      503,
      'BlockNotShared',
      `the change of ${JSON.stringify(readable)} applies only at this proxy: ${error.message} It is shared as soon as the store accepts it; until then, repeat it at every other proxy, and again at this one if it restarts, because a restart loses the change`,
      { cause: error, headers: { 'retry-after': '1' } },
    )
  }
}

function show(entry: CacheEntry): string {
  return entry.kind === 'token' ? `jti=${entry.jti} exp=${new Date(entry.expiresAt).toISOString()}` : BLOCKED
}

function decode(stored: Parameters<typeof fromStored>[0]): CacheEntry | undefined {
  try {
    return fromStored(stored)
  } catch {
    return undefined
  }
}

/** Returns an error in the format of nginx's API. */
export function keyvalError(status: number, code: string, text: string): HttpError {
  return new HttpError(status, code, text, { body: { error: { status, text, code } } })
}
