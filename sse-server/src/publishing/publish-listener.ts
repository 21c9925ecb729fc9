import { setMaxListeners } from 'node:events'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import type { TlsListener } from '@hallpass/certificates'
import type { Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import { publishObjects, type Refusal } from './publish-objects.ts'
import type { PublishSession } from './publish-session.ts'

export interface PublishListenerOptions {
  readonly host: string
  readonly port: number
  readonly openSession: () => PublishSession
  readonly log: Logger
  /** A publisher that needs a token and has not sent one within this time is disconnected. */
  readonly authorizeDeadlineMs?: number
  /** The certificate and key, if the port uses TLS. */
  readonly tls: TlsListener | undefined
}

/** There are only a few publishers; the limit keeps a broken one from using up all file descriptors. */
const MAX_CONNECTIONS = 1_000
/** Publishers have their token when they connect; idle connections must not use up the connection limit. */
const AUTHORIZE_DEADLINE_MS = 10_000
/** Two round trips; Node's default is two minutes. */
const HANDSHAKE_TIMEOUT_MS = 10_000
/** The event log responds within milliseconds; what it has not stored by then is not published. */
const STOP_DEADLINE_MS = 1_000
/** Each rejected object is answered with one line; a publisher that leaves more bytes than this unread is disconnected. */
const MAX_UNREAD_BYTES = 64 * 1024
/**
 * A web page can make a browser post a body to any port. Input that starts like an HTTP request is rejected, together
 * with any objects that follow.
 */
const HTTP_REQUEST = /^[A-Z]{3,7} [/*h]/
const HTTP_REQUEST_BYTES = 10

const NOT_HTTP: Refusal = {
  status: 400,
  code: 'not_http',
  message: 'This port accepts JSON objects, not HTTP. Send HTTP requests to the HTTP port.',
}

const STOPPING: Refusal = {
  status: 503,
  code: 'stopping',
  message: 'The server is stopping and has not read all objects. Publish the remaining ones again.',
}

/** Accepts JSON objects over TCP, as `nc` sends them. Only errors are answered, one JSON line each. */
export class PublishListener {
  readonly #options: PublishListenerOptions
  readonly #sockets = new Set<Socket>()
  readonly #stop = new AbortController()
  #server: Server | undefined

  constructor(options: PublishListenerOptions) {
    this.#options = options
    // Every connection adds a listener, so the default limit of ten would warn.
    setMaxListeners(0, this.#stop.signal)
  }

  /** Starts listening and resolves to the URL, for example `tcp://localhost:7001`. */
  async start(): Promise<string> {
    const { host, port } = this.#options
    // Half-open, so that a publisher that has closed its side can still read the errors.
    const shared = { allowHalfOpen: true, noDelay: true }
    const serve = (socket: Socket) => this.#accept(socket)
    const secure = this.#options.tls
    const server = secure
      ? tls.createServer(
          { ...shared, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, ...(await secure.tls()) },
          serve,
        )
      : net.createServer(shared, serve)
    // Node only tells of a handshake that took too long; its own https.Server closes the connection in the same way.
    server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy())
    if (secure && server instanceof tls.Server) secure.prepare(server)
    server.maxConnections = MAX_CONNECTIONS
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, host, resolve)
    })
    return `tcp://localhost:${(server.address() as AddressInfo).port}`
  }

  /**
   * Publishes what was read, and sends an error to each publisher that has more to send: if its connection just closed, it
   * would assume that everything was published.
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
    // The reader handles it too, but only between chunks; without a listener the error would end the process.
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
    // A reset connection only means that the publisher has disconnected.
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
      this.#options.log.info({ code }, 'publication rejected')
      if (socket.writable) socket.write(`${JSON.stringify({ error: { code, message } })}\n`)
    }
    await publishObjects(refuseHttp(chunksOf(socket, this.#stop.signal), answer), {
      take: (object) => session.take(object),
      refused: (refusal) => {
        answer(refusal)
        // Stop reading from a publisher that is not allowed to publish.
        return refusal.status !== 401 && refusal.status !== 403 && socket.writableLength <= MAX_UNREAD_BYTES
      },
    })
    if (this.#stop.signal.aborted && !socket.readableEnded) answer(STOPPING)
    socket.destroySoon()
  }
}

/** Yields the bytes of a connection until it ends or the signal aborts. */
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

/** Yields the bytes of a connection, unless they start like an HTTP request. */
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
