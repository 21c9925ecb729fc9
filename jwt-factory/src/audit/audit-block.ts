import { createHash } from 'node:crypto'
import type { StoredEvent } from './audit-entry.ts'

/** What one write adds to a trail: some entries, and the hash of the entry before them. */
export interface AuditBlock {
  /** Identifies the write, so that a retry notices that an earlier one has succeeded. */
  readonly id: string
  /** The hash of the entry before the first one; '' at the beginning of the trail. */
  readonly previous: string
  /** How many entries the trail had before this block, expired ones included. */
  readonly before: number
  readonly events: readonly StoredEvent[]
}

/** The hash of the block before the first one. */
export const NO_HASH = ''
/** Leaves seven decimal places for a block's entries and twelve for blocks: a number is exact up to 2^53. */
const ENTRIES_PER_BLOCK = 1_000
/** lmdb stores a larger value in more pages than its reserve on a full disk is made for. */
export const MAX_BLOCK_BYTES = 16 * 1024

export const seqOf = (block: number, index: number): number => block * ENTRIES_PER_BLOCK + index
export const placeOf = (seq: number) => ({
  block: Math.floor(seq / ENTRIES_PER_BLOCK),
  index: seq % ENTRIES_PER_BLOCK,
})

export const hashOf = (previous: string, event: StoredEvent): string =>
  createHash('sha256')
    .update(`${previous}\n${JSON.stringify(event)}`)
    .digest('base64url')

export const lastHash = ({ previous, events }: AuditBlock): string => events.reduce(hashOf, previous)

/** Splits events into what fits into one block each. */
export function* chunks(events: readonly StoredEvent[]): Iterable<readonly StoredEvent[]> {
  let from = 0
  let bytes = 0
  for (const [index, event] of events.entries()) {
    const size = Buffer.byteLength(JSON.stringify(event)) + 1
    if (index > from && (bytes + size > MAX_BLOCK_BYTES || index - from >= ENTRIES_PER_BLOCK)) {
      yield events.slice(from, index)
      from = index
      bytes = 0
    }
    bytes += size
  }
  if (from < events.length) yield events.slice(from)
}

export const printBlock = ({ id, previous, before, events }: AuditBlock): string =>
  JSON.stringify([id, previous, before, events])

/** Stands for a value that is not a block, so that the trail goes on after it, with a broken chain. */
const DAMAGED: AuditBlock = { id: 'damaged', previous: 'damaged', before: 0, events: [] }

export function parseBlock(value: string): AuditBlock {
  try {
    const [id, previous, before, events] = JSON.parse(value)
    if (Array.isArray(events) && typeof before === 'number') return { id, previous, before, events }
  } catch {}
  return DAMAGED
}
