import { createHash } from 'node:crypto'

/** Four words of the `jti`, and its expiry in seconds. */
const WORDS = 5
const FIRST_SLOTS = 1_024
/** Fuller tables have long searches. */
const MAX_LOAD = 0.7

/**
 * A table of `jti`s and when they expire, for millions of them: 20 bytes a slot and no objects, 29 to 57 bytes an entry. A
 * `jti` of this issuer is a random UUID, which is stored as it is; of any other, a hash of 128 bits.
 */
export class RevocationTable {
  #slots = FIRST_SLOTS
  #table = new Uint32Array(FIRST_SLOTS * WORDS)
  #used = 0

  /** The number of entries, including some that have expired. */
  get size(): number {
    return this.#used
  }

  get bytes(): number {
    return this.#table.byteLength
  }

  has(jti: string, nowSeconds: number): boolean {
    const slot = this.#slotOf(wordsOf(jti))
    return (this.#table[slot + WORDS - 1] as number) > nowSeconds
  }

  /** Adds a `jti` that expires at `endsAtSeconds`; returns false if it was there already. */
  add(jti: string, endsAtSeconds: number, nowSeconds: number): boolean {
    if (this.#used + 1 > this.#slots * MAX_LOAD) this.#rebuild(nowSeconds)
    return this.#put(wordsOf(jti), Math.ceil(endsAtSeconds))
  }

  removeExpired(nowSeconds: number): void {
    this.#rebuild(nowSeconds)
  }

  *entries(nowSeconds: number): Iterable<readonly [jti: string, endsAtSeconds: number]> {
    for (let slot = 0; slot < this.#table.length; slot += WORDS) {
      const endsAt = this.#table[slot + WORDS - 1] as number
      if (endsAt > nowSeconds) yield [textOf(this.#table.subarray(slot, slot + 4)), endsAt]
    }
  }

  #put(words: Uint32Array, endsAtSeconds: number): boolean {
    const slot = this.#slotOf(words)
    const isNew = this.#table[slot + WORDS - 1] === 0
    if (isNew) this.#used += 1
    this.#table.set(words, slot)
    this.#table[slot + WORDS - 1] = endsAtSeconds
    return isNew
  }

  /** Returns the place of an entry, or the free one where it belongs. */
  #slotOf(words: Uint32Array): number {
    let index = (words[0] as number) % this.#slots
    for (;;) {
      const slot = index * WORDS
      const table = this.#table
      if (table[slot + WORDS - 1] === 0) return slot
      if (
        table[slot] === words[0] &&
        table[slot + 1] === words[1] &&
        table[slot + 2] === words[2] &&
        table[slot + 3] === words[3]
      )
        return slot
      index = (index + 1) % this.#slots
    }
  }

  /** Removes what has expired, and doubles the table if that frees less than half. */
  #rebuild(nowSeconds: number): void {
    const old = this.#table
    let live = 0
    for (let slot = WORDS - 1; slot < old.length; slot += WORDS)
      if ((old[slot] as number) > nowSeconds) live += 1
    while (live + 1 > (this.#slots * MAX_LOAD) / 2) this.#slots *= 2
    this.#table = new Uint32Array(this.#slots * WORDS)
    this.#used = 0
    for (let slot = 0; slot < old.length; slot += WORDS) {
      const endsAt = old[slot + WORDS - 1] as number
      if (endsAt > nowSeconds) this.#put(old.subarray(slot, slot + 4), endsAt)
    }
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function wordsOf(jti: string): Uint32Array {
  if (UUID.test(jti)) {
    const word = (hex: string) => Number.parseInt(hex, 16)
    return Uint32Array.of(
      word(jti.slice(0, 8)),
      word(jti.slice(9, 13) + jti.slice(14, 18)),
      word(jti.slice(19, 23) + jti.slice(24, 28)),
      word(jti.slice(28)),
    )
  }
  const hash = createHash('sha256').update(jti).digest()
  return Uint32Array.from({ length: 4 }, (_, index) => hash.readUInt32BE(4 * index))
}

function textOf(words: Uint32Array): string {
  const bytes = Buffer.alloc(16)
  for (const [index, word] of words.entries()) bytes.writeUInt32BE(word, 4 * index)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Returns the name of a `jti` in the store: itself if it is a UUID, else the UUID that the table has for it. */
export const nameOf = (jti: string): string => (UUID.test(jti) ? jti : textOf(wordsOf(jti)))
