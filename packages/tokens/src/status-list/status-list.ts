import { deflateSync, inflateSync } from 'node:zlib'
import { decodeBase64url } from '../compact/index.ts'

/** The number of bits per status that the format has (Token Status List §4.1). */
export const STATUS_BITS = [1, 2, 4, 8] as const
export type StatusBits = (typeof STATUS_BITS)[number]

/** The registered statuses (Token Status List §7.1). Others belong to an application. */
export const STATUS = { valid: 0, revoked: 1, suspended: 2 } as const

/**
 * The largest list, uncompressed: eight million tokens with one bit each. DEFLATE compresses by up to 1,032, so without this limit
 * a list token of 1 MiB could fill half a gigabyte.
 */
const MAX_LIST_BYTES = 1024 * 1024

/** Reports a status list that is malformed or too large. */
export class StatusListError extends Error {
  override readonly name = 'StatusListError'
}

/** The `status_list` claim of a status list token: the number of bits per status, and the compressed list (§4.2). */
export interface EncodedStatusList {
  readonly bits: StatusBits
  readonly lst: string
}

/** The statuses of many tokens, by index; 1, 2, 4 or 8 bits each, from the least significant bit of each byte (Token Status List §4). */
export class StatusList {
  readonly bits: StatusBits
  readonly #bytes: Uint8Array

  private constructor(bits: StatusBits, bytes: Uint8Array) {
    if (!STATUS_BITS.includes(bits))
      throw new StatusListError('The bits of a status list must be 1, 2, 4 or 8.')
    if (bytes.length > MAX_LIST_BYTES)
      throw new StatusListError(`A status list must have at most ${MAX_LIST_BYTES} bytes.`)
    this.bits = bits
    this.#bytes = bytes
  }

  /**
   * Creates a list of valid tokens; the size is rounded up to whole bytes.
   * @throws {StatusListError} if it would be too large
   */
  static ofSize(size: number, bits: StatusBits = 1): StatusList {
    if (!Number.isSafeInteger(size) || size < 0)
      throw new StatusListError('The size of a status list must be a whole number.')
    const bytes = Math.ceil((size * bits) / 8)
    if (bytes > MAX_LIST_BYTES)
      throw new StatusListError(`A status list must have at most ${MAX_LIST_BYTES} bytes.`)
    return new StatusList(bits, new Uint8Array(bytes))
  }

  /**
   * Reads the `status_list` claim of a status list token.
   * @throws {StatusListError} if it is malformed, or too large when uncompressed
   */
  static decode(claim: unknown): StatusList {
    const { bits, lst } = (typeof claim === 'object' && claim !== null ? claim : {}) as Record<
      string,
      unknown
    >
    if (!STATUS_BITS.includes(bits as StatusBits))
      throw new StatusListError('The bits of a status list must be 1, 2, 4 or 8.')
    const compressed = typeof lst === 'string' ? decodeBase64url(lst) : undefined
    if (!compressed) throw new StatusListError('The lst of a status list must be base64url.')
    return new StatusList(bits as StatusBits, inflate(compressed))
  }

  /** Returns the `status_list` claim. */
  encode(): EncodedStatusList {
    return { bits: this.bits, lst: deflateSync(this.#bytes, { level: 9 }).toString('base64url') }
  }

  /** The number of statuses; it can include up to seven that are only padding. */
  get size(): number {
    return (this.#bytes.length * 8) / this.bits
  }

  /** Returns the status of a token; undefined if the list has no such index. */
  get(index: number): number | undefined {
    if (!this.#has(index)) return undefined
    const bit = index * this.bits
    return ((this.#bytes[bit >> 3] as number) >> (bit & 7)) & this.#mask
  }

  /** @throws {RangeError} if the list has no such index, or no room for the status */
  set(index: number, status: number): void {
    if (!this.#has(index)) throw new RangeError(`The status list has no index ${index}.`)
    if (!Number.isInteger(status) || status < 0 || status > this.#mask)
      throw new RangeError(`The status ${status} does not fit into ${this.bits} bits.`)
    const bit = index * this.bits
    const cleared = (this.#bytes[bit >> 3] as number) & ~(this.#mask << (bit & 7))
    this.#bytes[bit >> 3] = cleared | (status << (bit & 7))
  }

  get #mask(): number {
    return 2 ** this.bits - 1
  }

  #has(index: number): boolean {
    return Number.isInteger(index) && index >= 0 && index < this.size
  }
}

/** Decompresses exactly one ZLIB stream (RFC 1950), up to the limit. */
function inflate(compressed: Buffer): Uint8Array {
  let inflated: { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } }
  try {
    inflated = inflateSync(compressed, { maxOutputLength: MAX_LIST_BYTES, info: true }) as never
  } catch (cause) {
    throw new StatusListError(
      (cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
        ? `A status list must have at most ${MAX_LIST_BYTES} bytes.`
        : 'The lst of a status list must be compressed with DEFLATE in the ZLIB format.',
      { cause },
    )
  }
  if (inflated.engine.bytesWritten !== compressed.length)
    throw new StatusListError('The lst of a status list must end with its compressed data.')
  return inflated.buffer
}
