/** How the messages of a method become bytes and come back; `decode` throws on bytes that are no such message. */
interface MessageCodec<T> {
  encode(message: T): Buffer
  decode(bytes: Uint8Array): T
}

/** A method of a service: one request, and one answer (`unary`) or any number of them (`stream`). */
export interface Method<Kind extends 'unary' | 'stream', Request, Response> {
  /** `/Service/Method`. */
  readonly path: string
  readonly kind: Kind
  readonly request: MessageCodec<Request>
  readonly response: MessageCodec<Response>
}
