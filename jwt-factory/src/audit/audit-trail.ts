import { randomBytes } from 'node:crypto'
import type { Clock } from '@hallpass/service-kit'
import type { SeenEntry, Zone } from '@hallpass/token-store'
import {
  type AuditBlock,
  hashOf,
  lastHash,
  NO_HASH,
  parseBlock,
  placeOf,
  printBlock,
  seqOf,
} from './audit-block.ts'
import { type AuditEntry, type StoredEvent, TRAILS, type TrailName } from './audit-entry.ts'

/** The end of the trail, as one process knows it. */
interface Tail {
  readonly block: number
  readonly hash: string
  readonly count: number
}

/** A hint where the trail begins and ends, so that nobody has to walk it. It may lag behind the blocks. */
interface Head extends Tail {
  readonly first: number
}

/** An entry, or the place where the chain is broken: an entry was changed, or entries are missing. */
export type AuditStep = { readonly entry: AuditEntry } | { readonly brokenAt: number }

const EMPTY: Head = { first: 1, block: 0, hash: NO_HASH, count: 0 }
/** The last second of the year 9999. */
const NEVER_MS = 253_402_300_799_000
/** What one call removes, about a second of work. */
const MAX_REMOVED = 1_000

/**
 * An append-only list of entries that several processes write: numbered blocks, each with the hash of the entry before it.
 * The process that creates the next number first has it, and the others append to its block. So there is one order and
 * one chain, however many replicas write.
 */
export class AuditTrail {
  readonly #name: TrailName
  readonly #zone: Zone
  readonly #clock: Clock
  #tail: Tail | undefined

  constructor(name: TrailName, zone: Zone, clock: Clock) {
    this.#name = name
    this.#zone = zone
    this.#clock = clock
    // After a failover, blocks that this process has seen may be missing.
    zone.watch((change) => {
      if (typeof change === 'string') this.#tail = undefined
    })
  }

  /**
   * Appends events as one block, and returns its last entry. A retry with the same `id` after a failure whose result is
   * unknown appends nothing twice.
   * @throws {StoreUnavailableError}
   */
  async append(id: string, events: readonly StoredEvent[]): Promise<{ seq: number; hash: string }> {
    for (;;) {
      const tail = this.#tail ?? (await this.#end(EMPTY))
      const number = tail.block + 1
      const block: AuditBlock = { id, previous: tail.hash, before: tail.count, events }
      const endsAt = this.#clock() + TRAILS[this.#name].maxAgeMs
      const isOurs = await this.#zone.replace(this.#key(number), undefined, {
        value: printBlock(block),
        endsAt,
      })
      const written = isOurs ? block : await this.#block(number)
      const end = written && tailOf(number, written)
      this.#tail = end
      if (end && written.id === id) {
        await this.#suggest(end)
        return { seq: seqOf(number, written.events.length - 1), hash: end.hash }
      }
      // Another replica was faster, perhaps by many blocks.
      this.#tail = await this.#end(this.#tail ?? EMPTY)
    }
  }

  /** Returns an ID for {@link append}. */
  static newId(): string {
    return randomBytes(9).toString('base64url')
  }

  /**
   * Reads the entries after a sequence number, in order. If the entry with that number is gone although it is not too old,
   * e.g. because the store was lost and the trail was begun again, that is reported, and all entries are read.
   * @throws {StoreUnavailableError}
   */
  async *read(after: number): AsyncIterable<AuditStep> {
    let head = (await this.#head()).head
    let { block: from, index } = placeOf(after)
    if (from > head.block && !(await this.#block(from))) {
      yield { brokenAt: after }
      from = 0
      index = -1
    }
    let number = Math.max(from, head.first)
    /** The hash of the last entry; undefined if it is unknown, because older blocks have expired. */
    let hash: string | undefined
    let isMissing = false
    for (; ; number += 1) {
      let block = await this.#block(number)
      if (!block && number > head.block) {
        head = (await this.#head()).head
        if (number > head.block) return
        // Written between the two looks.
        block = await this.#block(number)
      }
      if (!block) {
        isMissing = true
        continue
      }
      const isBroken = hash !== undefined && (isMissing || block.previous !== hash)
      isMissing = false
      if (isBroken) yield { brokenAt: seqOf(number, 0) }
      hash = block.previous
      for (const [at, event] of block.events.entries()) {
        hash = hashOf(hash, event)
        if (number === from && at <= index) continue
        yield { entry: { trail: this.#name, seq: seqOf(number, at), ...event, hash } }
      }
    }
  }

  /** Removes blocks that are too old, or too many. Returns whether there may be more to remove. */
  async clean(): Promise<boolean> {
    const { maxAgeMs, maxEntries } = TRAILS[this.#name]
    const { head, seen } = await this.#head()
    let { first } = head
    while (first <= head.block && first - head.first < MAX_REMOVED) {
      const block = await this.#block(first)
      if (block) {
        const newest = Date.parse(block.events.at(-1)?.at ?? '')
        const isOld = newest < this.#clock() - maxAgeMs
        if (!isOld && head.count - block.before <= maxEntries) break
        await this.#zone.overrule(this.#key(first), undefined)
      }
      first += 1
    }
    if (first !== head.first)
      await this.#zone.replace(this.#headKey, seen, {
        value: JSON.stringify({ ...head, first }),
        endsAt: NEVER_MS,
      })
    return first - head.first >= MAX_REMOVED
  }

  /** Finds the end of the trail, from a place that is not after it. */
  async #end(known: Tail): Promise<Tail> {
    const { head } = await this.#head()
    let tail: Tail = head.block > known.block ? head : known
    for (;;) {
      const block = await this.#block(tail.block + 1)
      if (!block) return tail
      tail = tailOf(tail.block + 1, block)
    }
  }

  async #head(): Promise<{ head: Head; seen: SeenEntry | undefined }> {
    const seen = await this.#zone.get(this.#headKey)
    return { head: seen ? (JSON.parse(seen.value) as Head) : EMPTY, seen }
  }

  /** Stores where the trail ends, unless another process is storing it as well. */
  async #suggest(tail: Tail): Promise<void> {
    const { head, seen } = await this.#head()
    if (head.block >= tail.block) return
    const value = JSON.stringify({ ...tail, first: head.first })
    await this.#zone.replace(this.#headKey, seen, { value, endsAt: NEVER_MS })
  }

  async #block(number: number): Promise<AuditBlock | undefined> {
    const seen = await this.#zone.get(this.#key(number))
    return seen && parseBlock(seen.value)
  }

  #key(number: number): string {
    return `${this.#name}.${number}`
  }

  get #headKey(): string {
    return `${this.#name}.head`
  }
}

const tailOf = (number: number, block: AuditBlock): Tail => ({
  block: number,
  hash: lastHash(block),
  count: block.before + block.events.length,
})
