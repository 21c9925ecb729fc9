/**
 * One or more whole events, encoded once and shared by all clients that receive them. Because blocks contain only whole
 * events, a challenge or heartbeat written between two blocks never splits an event.
 */
export class EventBlock {
  /** The events without chunk framing, as HTTP/2 sends them in DATA frames. */
  readonly bytes: Buffer
  #chunk: Buffer | undefined

  constructor(bytes: Buffer | string) {
    this.bytes = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  }

  /** Returns the events as one HTTP/1.1 chunk (RFC 9112 §7.1), framed once for all clients. */
  get chunk(): Buffer {
    this.#chunk ??= Buffer.concat([
      Buffer.from(`${this.bytes.length.toString(16)}\r\n`),
      this.bytes,
      Buffer.from('\r\n'),
    ])
    return this.#chunk
  }
}
