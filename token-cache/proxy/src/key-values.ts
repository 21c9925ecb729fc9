import { HttpError } from '@hallpass/service-kit'
import type { Zone } from '@hallpass/token-store'
import { type Block, type CacheEntry, endOf, fromStored, toStored } from './cached-token.ts'
import type { KeyMaker } from './identity.ts'
import { parseReadableKey } from './readable-key.ts'

/** The value that blocks a key, as documented. */
export const BLOCKED = '0'

export interface KeyValuesOptions {
  readonly zone: Zone
  readonly keys: KeyMaker
  /** How many fields an identity has, so that a key with fewer is known to mean a user. */
  readonly fieldCount: number
  /** How long a block lasts when the operator does not say. */
  readonly blockMs: number
  readonly clock: () => number
}

/** The cache as an operator sees it: readable keys, and values that say which token there is but not the token. */
export class KeyValues {
  readonly #options: KeyValuesOptions

  constructor(options: KeyValuesOptions) {
    this.#options = options
  }

  async *all(): AsyncIterable<readonly [key: string, value: string]> {
    for await (const [, stored] of this.#options.zone.entries()) {
      const entry = decode(stored)
      if (entry && entry.kind !== 'refusal') yield [entry.readable, show(entry)]
    }
  }

  async get(readable: string): Promise<string | undefined> {
    const stored = await this.#options.zone.get(this.#keyOf(readable))
    const entry = stored && decode(stored)
    return entry && entry.kind !== 'refusal' ? show(entry) : undefined
  }

  /** Blocks the key, or with fewer fields than an identity has the user, for `milliseconds` from now. */
  async block(readable: string, milliseconds = this.#options.blockMs): Promise<void> {
    const key = this.#keyOf(readable)
    const now = this.#options.clock()
    const stored = await this.#options.zone.get(key)
    const known = stored && decode(stored)
    // A copy of the token that a proxy could not be told of ends before the block does.
    const endsAt = Math.max(now + milliseconds, known?.kind === 'token' ? endOf(known) : 0)
    const block: Block = { kind: 'block', readable, endsAt }
    await this.#options.zone.overrule(key, toStored(block))
  }

  remove(readable: string): Promise<void> {
    return this.#options.zone.overrule(this.#keyOf(readable), undefined)
  }

  clear(): Promise<void> {
    return this.#options.zone.clear()
  }

  #keyOf(readable: string): string {
    const { keys, fieldCount } = this.#options
    const fields = parseReadableKey(readable, fieldCount)
    return fields.length < fieldCount ? keys.userKey(fields[0] as string) : keys.keyOf(fields)
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

/** An error as nginx's API writes it. */
export function keyvalError(status: number, code: string, text: string): HttpError {
  return new HttpError(status, code, text, { body: { error: { status, text, code } } })
}
