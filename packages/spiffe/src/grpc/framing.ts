import { GrpcError, status } from './status.ts'

/** One byte for the compressed flag, four for the length. */
const PREFIX_BYTES = 5

/** The default of the reference implementations, ten times the size of the largest known bundle sets. */
export const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** Prefixes a message with its header, uncompressed. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  framed.writeUInt8(0, 0)
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, PREFIX_BYTES)
  return framed
}

/** Assembles messages from chunks; a chunk can contain part of a message or several messages. */
export class Deframer {
  readonly #maxMessageBytes: number
  #chunks: Buffer[] = []
  #buffered = 0

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes
  }

  /** Whether part of an incomplete message is buffered. */
  get pending(): boolean {
    return this.#buffered > 0
  }

  /**
   * Returns the messages that this chunk completes.
   *
   * @throws GrpcError ResourceExhausted before a message over the limit is buffered; Unimplemented or Internal
   * for a compressed one.
   */
  push(chunk: Buffer, encoding = 'identity'): Buffer[] {
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
    const messages: Buffer[] = []
    for (;;) {
      const length = this.#nextLength(encoding)
      if (length === undefined || this.#buffered < PREFIX_BYTES + length) return messages
      const all = this.#joined()
      messages.push(all.subarray(PREFIX_BYTES, PREFIX_BYTES + length))
      const rest = all.subarray(PREFIX_BYTES + length)
      this.#chunks = rest.length === 0 ? [] : [rest]
      this.#buffered = rest.length
    }
  }

  #nextLength(encoding: string): number | undefined {
    if (this.#buffered < PREFIX_BYTES) return undefined
    // Read the prefix in place: joining the chunks each time would be quadratic for large messages.
    const first = this.#chunks[0] as Buffer
    const prefix = first.length >= PREFIX_BYTES ? first : this.#joined()
    if (prefix[0] !== 0) {
      throw encoding === 'identity'
        ? new GrpcError(
            status.internal,
            'a message is marked as compressed, but no grpc-encoding was announced',
          )
        : new GrpcError(status.unimplemented, `grpc-encoding "${encoding}" is not supported`)
    }
    const length = prefix.readUInt32BE(1)
    if (length > this.#maxMessageBytes)
      throw new GrpcError(
        status.resourceExhausted,
        `received message larger than max (${length} vs. ${this.#maxMessageBytes})`,
      )
    return length
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] as Buffer
  }
}
