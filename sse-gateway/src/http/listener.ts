import type { ServerOptions } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { Drain } from '@hallpass/service-kit'
import { type Exchange, Http1Exchange, Http2Exchange } from './exchange/index.ts'

/** A browser opens a stream or two per page; a balancer that joins many clients in one connection gets this far. */
const MAX_STREAMS_PER_CONNECTION = 1_000
/** In MiB. Events are shared buffers; 1,000 streams with a full 64 KiB pending are 64 MiB. */
const MAX_CONNECTION_MEMORY = 64
/** A token is at most 8 KiB; twice that leaves room for the rest. */
const MAX_HEADER_BYTES = 16 * 1024
/** A client has ten seconds for its handshake and as long for its headers: enough for a phone. */
const HANDSHAKE_TIMEOUT_MS = 10_000
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 10_000
/** An HTTP/2 connection on which nothing has been open for so long is closed. */
const IDLE_MS = 60_000
/** Node's own timeout would be set anew at every event of every stream: a twentieth of what an event costs. */
const IDLE_CHECK_MS = 15_000
/** More than the streams that one gateway is asked to hold, each on a connection of its own. */
const MAX_CONNECTIONS = 25_000

/** One TLS port that speaks HTTP/2 and HTTP/1.1, as the client prefers (ALPN, RFC 7301). */
export class Listener {
  readonly #server: Http2SecureServer
  readonly #connections = new Map<ServerHttp2Session | Socket, Usage>()
  readonly #drain: Drain<Exchange>
  #idleCheck: NodeJS.Timeout | undefined

  /** @param drain in which the listener takes part */
  constructor(tls: SecureContextOptions, drain: Drain<Exchange>, handle: (exchange: Exchange) => void) {
    this.#drain = drain
    const options: SecureServerOptions & ServerOptions = {
      // No client shows a certificate; Node would read the web's authorities for it all the same, for 40 ms.
      ca: [],
      ...tls,
      minVersion: 'TLSv1.2',
      allowHTTP1: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxSessionMemory: MAX_CONNECTION_MEMORY,
      settings: { maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION, maxHeaderListSize: MAX_HEADER_BYTES },
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    }
    const server = createSecureServer(options)
    server.maxConnections = MAX_CONNECTIONS
    server.on('request', (request, response) => {
      this.#take(new Http1Exchange(request as never, response as never), request.socket, handle)
    })
    // A 'request' listener makes Node wrap every HTTP/2 stream for it as well; here those come as streams, and once.
    server.removeAllListeners('stream')
    server.on('stream', (...[stream, headers, , rawHeaders]: StreamArguments) => {
      this.#take(new Http2Exchange(stream, headers, rawHeaders), stream.session as ServerHttp2Session, handle)
    })
    server.on('secureConnection', (socket) => {
      // Node sends each event at once; waiting for more to send would only make it late.
      socket.setNoDelay(true)
      if (socket.alpnProtocol !== 'h2') this.#track(socket)
    })
    server.on('session', (session) => {
      this.#track(session)
    })
    drain.add({
      server,
      askClients: () => this.#sayGoAway(),
      closeIdle: () => this.#closeUnused(),
      cut: () => {
        for (const connection of this.#connections.keys()) connection.destroy()
      },
    })
    this.#server = server
  }

  /** @returns the port that it listens on. */
  async start(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, host, resolve)
    })
    this.#idleCheck = setInterval(() => this.#closeIdle(), IDLE_CHECK_MS).unref()
    return (this.#server.address() as AddressInfo).port
  }

  /** For new connections; those that are open keep theirs. */
  useCertificate(tls: SecureContextOptions): void {
    this.#server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' })
  }

  #sayGoAway(): number {
    // A GOAWAY: what is open goes on, and what crosses it is refused unprocessed, to be sent again (RFC 9113 §8.7).
    // §6.8 would announce it by one with the greatest stream id. Node cannot: after any GOAWAY of its own it ignores new
    // streams (it has no nghttp2_submit_shutdown_notice), so what crosses would get no answer at all until the last one.
    let asked = 0
    for (const connection of this.#connections.keys())
      if ('goaway' in connection && !connection.closed) {
        connection.close()
        asked += 1
      }
    return asked
  }

  #closeUnused() {
    clearInterval(this.#idleCheck)
    for (const [connection, { open }] of this.#connections)
      if ('goaway' in connection) connection.close()
      else if (open === 0) connection.end()
  }

  #take(exchange: Exchange, connection: ServerHttp2Session | Socket, handle: (exchange: Exchange) => void) {
    const usage = this.#connections.get(connection) ?? this.#track(connection)
    usage.open += 1
    exchange.onClose(() => {
      usage.open -= 1
      usage.idleSince = performance.now()
      this.#drain.ended(exchange)
    })
    this.#drain.began(exchange, connection)
    handle(exchange)
  }

  #track(connection: ServerHttp2Session | Socket): Usage {
    const usage = { open: 0, idleSince: performance.now() }
    this.#connections.set(connection, usage)
    connection.once('close', () => this.#connections.delete(connection))
    this.#drain.connected(connection)
    return usage
  }

  /** Those of HTTP/1.1 are Node's to close. */
  #closeIdle() {
    const before = performance.now() - IDLE_MS
    for (const [connection, { open, idleSince }] of this.#connections)
      if ('goaway' in connection && open === 0 && idleSince < before) connection.close()
  }
}

interface Usage {
  /** Exchanges that are open on it. */
  open: number
  /** When the last one closed, or the connection began, in milliseconds of `performance.now`. */
  idleSince: number
}

type StreamArguments = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
]
