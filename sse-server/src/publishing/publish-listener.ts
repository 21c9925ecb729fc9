import { setMaxListeners } from 'node:events'
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
/** The event log answers within milliseconds; what it has not taken by then is not published. */
const STOP_DEADLINE_MS = 1_000
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

const STOPPING: Refusal = {
  status: 503,
  code: 'stopping',
  message: 'The server stops. It has not read everything: publish again what it has not taken.',
}

/** JSON objects on TCP, as `nc` sends them. Nothing is answered but errors, one JSON line each. */
export class PublishListener {
  readonly #options: PublishListenerOptions
  readonly #sockets = new Set<Socket>()
  readonly #stop = new AbortController()
  #server: Server | undefined

  constructor(options: PublishListenerOptions) {
    this.#options = options
    // Each connection listens to it.
    setMaxListeners(0, this.#stop.signal)
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

  /**
   * Publishes what was read, and says to each publisher that has more to send that it was not read: one whose
   * connection just closes would take everything for published.
   */
  async stop(): Promise<void> {
    const server = this.#server
    if (!server?.listening) return
    const closed = new Promise((resolve) => server.close(resolve))
    this.#stop.abort()
    const deadline = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, STOP_DEADLINE_MS)
    await closed
    clearTimeout(deadline)
  }

  #accept(socket: Socket) {
    this.#sockets.add(socket)
    // Its reader sees it, too; but one that is busy with a chunk must not take the process down.
    socket.on('error', () => {})
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
    await publishObjects(refuseHttp(chunksOf(socket, this.#stop.signal), answer), {
      take: (object) => session.take(object),
      refused: (refusal) => {
        answer(refusal)
        // Without the right to publish there is nothing more to say.
        return refusal.status !== 401 && refusal.status !== 403 && socket.writableLength <= MAX_UNREAD_BYTES
      },
    })
    if (this.#stop.signal.aborted && !socket.readableEnded) answer(STOPPING)
    socket.destroySoon()
  }
}

/** The bytes of a connection, to its end or until the signal. */
async function* chunksOf(socket: Socket, stop: AbortSignal): AsyncGenerator<Buffer> {
  while (!stop.aborted) {
    if (socket.errored) throw socket.errored
    const chunk = socket.read() as Buffer | null
    if (chunk) yield chunk
    else if (socket.readableEnded || socket.destroyed) return
    else await somethingHappens(socket, stop)
  }
}

function somethingHappens(socket: Socket, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      for (const event of EVENTS) socket.off(event, go)
      stop.removeEventListener('abort', go)
      resolve()
    }
    for (const event of EVENTS) socket.on(event, go)
    stop.addEventListener('abort', go)
  })
}

const EVENTS = ['readable', 'end', 'error', 'close'] as const

/** The bytes of a connection, unless the first ones are those of an HTTP request. */
async function* refuseHttp(
  chunks: AsyncIterable<Buffer>,
  answer: (refusal: Refusal) => void,
): AsyncGenerator<Buffer> {
  let head = Buffer.alloc(0)
  for await (const chunk of chunks) {
    if (head.length < HTTP_REQUEST_BYTES) {
      head = Buffer.concat([head, chunk.subarray(0, HTTP_REQUEST_BYTES)])
      if (HTTP_REQUEST.test(head.toString('latin1'))) return answer(NOT_HTTP)
    }
    yield chunk
  }
}
