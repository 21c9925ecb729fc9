import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import { HttpError, isTokenRefusal, type Logger } from '@hallpass/service-kit'
import { JsonObjectError, JsonObjectParser } from './json-object-parser.ts'
import { PublicationError } from './publication.ts'
import type { Publisher } from './publisher.ts'

export interface PublishListenerOptions {
  readonly host: string
  readonly port: number
  readonly publisher: Publisher
  readonly log: Logger
}

/** Publishers are programs, a handful of them; the limit keeps a broken one from taking every descriptor. */
const MAX_CONNECTIONS = 1_000
/** Answers are one line for each refused object; who does not read this many bytes of them is cut off. */
const MAX_UNREAD_BYTES = 64 * 1024
/**
 * A browser can be made to post a page's text to any port. What starts like a request of its kind is refused, whatever
 * objects come behind it.
 */
const HTTP_REQUEST = /^[A-Z]{3,7} [/*h]/
const HTTP_REQUEST_BYTES = 10

/** JSON objects on TCP, as `nc` sends them. Nothing is answered but errors, one JSON line each. */
export class PublishListener {
  readonly #options: PublishListenerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(options: PublishListenerOptions) {
    this.#options = options
    // Half open, because a publisher that has closed its side may still read what was wrong with its objects.
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      this.#serve(socket).catch((error: unknown) => {
        this.#options.log.debug({ err: error }, 'publisher gone')
        socket.destroy()
      })
    })
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  /** Resolves with the URL, `tcp://localhost:7001`. */
  async start(): Promise<string> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, host, resolve)
    })
    return `tcp://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroySoon()
    await closed
  }

  async #serve(socket: Socket) {
    let results: Promise<unknown>[] = []
    const parser = new JsonObjectParser({
      onObject: (object) => results.push(this.#take(object)),
      onError: (error) => results.push(Promise.reject(error)),
    })
    const settle = async () => {
      const settled = await Promise.allSettled(results)
      results = []
      for (const result of settled) if (result.status === 'rejected') this.#answer(socket, result.reason)
    }

    let head = Buffer.alloc(0)
    // Reading waits until the objects that came are in the log, so a fast publisher is slowed down and not buffered.
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      if (head.length < HTTP_REQUEST_BYTES) {
        head = Buffer.concat([head, chunk.subarray(0, HTTP_REQUEST_BYTES)])
        if (HTTP_REQUEST.test(head.toString('latin1'))) {
          this.#answer(
            socket,
            new HttpError(400, 'not_http', 'This port takes JSON objects; HTTP is on the other one.'),
          )
          break
        }
      }
      parser.push(chunk)
      await settle()
      if (socket.writableLength > MAX_UNREAD_BYTES) break
    }
    parser.end()
    await settle()
    socket.destroySoon()
  }

  async #take(object: Readonly<Record<string, unknown>>) {
    await this.#options.publisher.publish(object)
  }

  #answer(socket: Socket, error: unknown) {
    const { code, message } = toPublishError(error)
    this.#options.log.info({ code }, 'publication refused')
    if (socket.writable) socket.write(`${JSON.stringify({ error: { code, message } })}\n`)
  }
}

function toPublishError(error: unknown): { code: string; message: string } {
  if (error instanceof JsonObjectError || error instanceof PublicationError || error instanceof HttpError)
    return error
  if (isTokenRefusal(error)) return { code: 'invalid_token', message: error.message }
  return { code: 'internal_error', message: 'Something went wrong here; the log has the reason.' }
}
