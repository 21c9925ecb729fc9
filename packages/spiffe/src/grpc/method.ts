/** Encodes and decodes the messages of a method; `decode` throws if the bytes are not such a message. */
interface MessageCodec<T> {
  encode(message: T): Buffer
  decode(bytes: Uint8Array): T
}

/** A method of a service: one request, and one response (`unary`) or any number (`stream`). */
export interface Method<Kind extends 'unary' | 'stream', Request, Response> {
  /** `/Service/Method`. */
  readonly path: string
  readonly kind: Kind
  readonly request: MessageCodec<Request>
  readonly response: MessageCodec<Response>
}
