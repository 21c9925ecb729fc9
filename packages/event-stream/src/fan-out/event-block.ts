/**
 * Whole events, encoded once and shared by every client that gets them: each write is one or more whole events, so
 * whatever else is written to a stream (a challenge, a heartbeat) can never fall into the middle of one.
 */
export class EventBlock {
  /** As HTTP/2 sends it, in DATA frames. */
  readonly bytes: Buffer
  #chunk: Buffer | undefined

  constructor(bytes: Buffer | string) {
    this.bytes = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  }

  /** As HTTP/1.1 sends it: one chunk of the chunked coding (RFC 9112 §7.1), framed once for all clients. */
  get chunk(): Buffer {
    this.#chunk ??= Buffer.concat([
      Buffer.from(`${this.bytes.length.toString(16)}\r\n`),
      this.bytes,
      Buffer.from('\r\n'),
    ])
    return this.#chunk
  }
}
