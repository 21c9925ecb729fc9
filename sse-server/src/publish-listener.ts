import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import tls, { type SecureContextOptions } from 'node:tls'
import type { Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import { publishObjects, type Refusal } from './publish-objects.ts'
import type { PublishSession } from './publish-session.ts'

export interface PublishListenerOptions {
  readonly host: string
  readonly port: number
  readonly openSession: () => PublishSession
  readonly log: Logger
  /** A publisher that needs a token and has not sent it by then is cut off. */
  readonly authorizeDeadlineMs?: number
  /** Makes the port speak TLS. */
  readonly tls: (() => Promise<SecureContextOptions>) | undefined
}

/** Publishers are programs, a handful of them; the limit keeps a broken one from taking every descriptor. */
const MAX_CONNECTIONS = 1_000
/** A token is at hand when a publisher connects; silent connections must not use up the others' places. */
const AUTHORIZE_DEADLINE_MS = 10_000
/** Answers are one line for each refused object; who does not read this many bytes of them is cut off. */
const MAX_UNREAD_BYTES = 64 * 1024
/**
 * A browser can be made to post a page's text to any port. What starts like a request of its kind is refused, whatever
 * objects come behind it.
 */
const HTTP_REQUEST = /^[A-Z]{3,7} [/*h]/
const HTTP_REQUEST_BYTES = 10

const NOT_HTTP: Refusal = {
  status: 400,
  code: 'not_http',
  message: 'This port takes JSON objects; HTTP is on the other one.',
}

/** JSON objects on TCP, as `nc` sends them. Nothing is answered but errors, one JSON line each. */
export class PublishListener {
  readonly #options: PublishListenerOptions
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(options: PublishListenerOptions) {
    this.#options = options
  }

  /** Resolves with the URL, `tcp://localhost:7001`. */
  async start(): Promise<string> {
    const { host, port } = this.#options
    // Half open, because a publisher that has closed its side may still read what was wrong with its objects.
    const shared = { allowHalfOpen: true, noDelay: true }
    const serve = (socket: Socket) => this.#accept(socket)
    const server = this.#options.tls
      ? tls.createServer({ ...shared, ca: [], minVersion: 'TLSv1.2', ...(await this.#options.tls()) }, serve)
      : net.createServer(shared, serve)
    server.maxConnections = MAX_CONNECTIONS
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, host, resolve)
    })
    return `tcp://localhost:${(server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (!server?.listening) return
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of this.#sockets) socket.destroySoon()
    await closed
  }

  #accept(socket: Socket) {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    // A connection that is reset says no more than that its publisher is gone.
    this.#serve(socket).catch(() => socket.destroy())
  }

  async #serve(socket: Socket) {
    const { openSession, authorizeDeadlineMs = AUTHORIZE_DEADLINE_MS } = this.#options
    const session = openSession()
    const deadline = setTimeout(() => {
      if (!session.authorized) socket.destroy()
    }, cappedMs(authorizeDeadlineMs))
    socket.once('close', () => clearTimeout(deadline))
    const answer = ({ code, message }: Refusal) => {
      this.#options.log.info({ code }, 'publication refused')
      if (socket.writable) socket.write(`${JSON.stringify({ error: { code, message } })}\n`)
    }
    await publishObjects(refuseHttp(socket, answer), {
      take: (object) => session.take(object),
      refused: (refusal) => {
        answer(refusal)
        // Without the right to publish there is nothing more to say.
        return refusal.status !== 401 && refusal.status !== 403 && socket.writableLength <= MAX_UNREAD_BYTES
      },
    })
    socket.destroySoon()
  }
}

/** The bytes of a connection, unless the first ones are those of an HTTP request. */
async function* refuseHttp(socket: Socket, answer: (refusal: Refusal) => void): AsyncGenerator<Buffer> {
  let head = Buffer.alloc(0)
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (head.length < HTTP_REQUEST_BYTES) {
      head = Buffer.concat([head, chunk.subarray(0, HTTP_REQUEST_BYTES)])
      if (HTTP_REQUEST.test(head.toString('latin1'))) return answer(NOT_HTTP)
    }
    yield chunk
  }
}
