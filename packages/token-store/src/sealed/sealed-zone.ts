import { setTimeout as sleep } from 'node:timers/promises'
import { type Lease, type SeenEntry, StoreUnavailableError, type Zone } from '../shared-store.ts'
import type { Seal } from './seal.ts'

/** An entry as read. */
export interface SealedEntry<T> {
  readonly value: T
  /** Expiry time, in milliseconds since the epoch. */
  readonly endsAt: number
}

/** A change of an entry is tried again if another process was first; far more often than processes collide. */
const MAX_TRIES = 200
const RETRY_MS = 5
/** How many entries are compared to find one to replace: with a hundred, it is among the 3 % that end first, nearly always. */
const SAMPLE = 100

export interface SealedZoneOptions {
  readonly zone: Zone
  readonly seal: Seal
  /** The number of entries beyond which a new one replaces one that ends soon. Without it, the store is the limit. */
  readonly maxEntries?: number | undefined
}

/** A zone whose names and values only processes with the secret can read. Values are JSON. */
export class SealedZone {
  readonly #zone: Zone
  readonly #seal: Seal
  readonly #maxEntries: number | undefined

  constructor({ zone, seal, maxEntries }: SealedZoneOptions) {
    this.#zone = zone
    this.#seal = seal
    this.#maxEntries = maxEntries
  }

  async get<T>(name: string): Promise<SealedEntry<T> | undefined> {
    return (await this.#read<T>(this.#seal.name(name))).entry
  }

  /** Writes an entry, whatever was there. */
  async put(name: string, value: unknown, endsAt: number): Promise<void> {
    await this.change(name, () => ({ value, endsAt }))
  }

  /**
   * Changes an entry by compare and set, so that no change of another process is lost.
   * @param edit returns the next entry, or undefined to leave it as it is; it may be called several times.
   * @returns what is in the store now.
   */
  async change<T>(
    name: string,
    edit: (entry: SealedEntry<T> | undefined) => SealedEntry<T> | undefined,
  ): Promise<SealedEntry<T> | undefined> {
    const key = this.#seal.name(name)
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const { entry, seen } = await this.#read<T>(key)
      const next = edit(entry)
      if (next === undefined) return entry
      if (!seen) await this.#makeRoom()
      const value = this.#seal.close(key, JSON.stringify(next.value))
      if (await this.#zone.replace(key, seen, { value, endsAt: next.endsAt })) return next
      await sleep(Math.random() * RETRY_MS)
    }
    throw new StoreUnavailableError(new Error(`an entry was changed ${MAX_TRIES} times in a row`))
  }

  async remove(name: string): Promise<void> {
    await this.#zone.overrule(this.#seal.name(name), undefined)
  }

  lease(name: string, milliseconds: number): Promise<Lease | undefined> {
    return this.#zone.lease(this.#seal.name(name), milliseconds)
  }

  count(): Promise<number> {
    return this.#zone.count()
  }

  async #read<T>(key: string): Promise<{ entry?: SealedEntry<T>; seen: SeenEntry | undefined }> {
    const seen = await this.#zone.get(key)
    if (!seen) return { seen }
    const text = this.#seal.open(key, seen.value)
    // A damaged entry counts as absent, and is overwritten.
    return text === undefined ? { seen } : { seen, entry: { value: JSON.parse(text), endsAt: seen.endsAt } }
  }

  /** Keys are hashes, so the first ones are a random sample. */
  async #makeRoom(): Promise<void> {
    if (this.#maxEntries === undefined || (await this.#zone.count()) < this.#maxEntries) return
    let first: { key: string; endsAt: number } | undefined
    let seen = 0
    for await (const [key, { endsAt }] of this.#zone.entries()) {
      if (first === undefined || endsAt < first.endsAt) first = { key, endsAt }
      seen += 1
      if (seen === SAMPLE) break
    }
    if (first) await this.#zone.overrule(first.key, undefined)
  }
}
