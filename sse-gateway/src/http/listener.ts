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
import { cappedMs } from '@hallpass/untrusted/timers'
import { type Exchange, Http1Exchange, Http2Exchange, MAX_HEADER_BYTES } from './exchange/index.ts'

/** A browser opens one or two streams per page; a load balancer that shares one connection among clients needs more. */
const MAX_STREAMS_PER_CONNECTION = 1_000
/** In MiB. Events are shared buffers; 1,000 streams with a full 64 KiB pending are 64 MiB. */
const MAX_CONNECTION_MEMORY = 64
/** Those of service-kit: enough for a phone, too short for Slowloris. */
const LIMITS: ConnectionLimits = {
  handshakeMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveMs: 10_000,
  idleMs: 60_000,
  checkMs: 2_000,
}
/** More than the default maximum of streams, each on its own connection. */
const MAX_CONNECTIONS = 25_000

/** How long a connection can do nothing useful, in milliseconds. An open stream is never cut. */
export interface ConnectionLimits {
  /** From the connection to the end of the TLS handshake. */
  readonly handshakeMs: number
  /** From the handshake, or the first byte of a later request, to the end of the headers; over HTTP/2 to the first SETTINGS. */
  readonly headersTimeoutMs: number
  /** From the first byte of an HTTP/1.1 request to the last byte of its body. */
  readonly requestTimeoutMs: number
  /** An HTTP/1.1 connection between two requests. Node adds a second, for requests that are on their way. */
  readonly keepAliveMs: number
  /** An HTTP/2 connection without open streams, which browsers reuse for longer. */
  readonly idleMs: number
  /**
   * How often the limits are checked, and how long a client has to close its side of an idle HTTP/2 connection. Node's own
   * timeout of a session would be reset for every event of every stream, which adds 5% to the cost of an event.
   */
  readonly checkMs: number
}

/** Listens on one TLS port for HTTP/2 and HTTP/1.1, negotiated by ALPN (RFC 7301). */
export class Listener {
  readonly #server: Http2SecureServer
  readonly #connections = new Map<ServerHttp2Session | Socket, Usage>()
  readonly #drain: Drain<Exchange>
  readonly #limits: ConnectionLimits
  #idleCheck: NodeJS.Timeout | undefined

  /** @param drain the shutdown in which the listener participates */
  constructor(
    tls: SecureContextOptions,
    drain: Drain<Exchange>,
    handle: (exchange: Exchange) => void,
    limits: ConnectionLimits = LIMITS,
  ) {
    this.#drain = drain
    this.#limits = limits
    const options: SecureServerOptions = {
      // Clients have no certificates. Without this, Node would spend 40 ms loading the system's CAs.
      ca: [],
      ...tls,
      minVersion: 'TLSv1.2',
      allowHTTP1: true,
      handshakeTimeout: limits.handshakeMs,
      maxSessionMemory: MAX_CONNECTION_MEMORY,
      settings: { maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION, maxHeaderListSize: MAX_HEADER_BYTES },
    }
    const server = Object.assign(createSecureServer(options), http1Limits(limits))
    server.maxConnections = MAX_CONNECTIONS
    server.on('request', (request, response) => {
      this.#take(new Http1Exchange(request as never, response as never), request.socket, handle)
    })
    // A 'request' listener makes Node also wrap every HTTP/2 stream; this handles HTTP/2 once, by the stream API.
    server.removeAllListeners('stream')
    server.on('stream', (...[stream, headers, , rawHeaders]: StreamArguments) => {
      this.#take(new Http2Exchange(stream, headers, rawHeaders), stream.session as ServerHttp2Session, handle)
    })
    // Node emits 'session' during 'secureConnection', and gives no other access to the socket of a session.
    let accepted: Socket
    server.prependListener('secureConnection', (socket) => {
      // Events are sent in one write per turn, so Nagle's algorithm would only delay them.
      socket.setNoDelay(true)
      accepted = socket
      if (socket.alpnProtocol !== 'h2') this.#track(socket, socket)
    })
    server.on('session', (session) => {
      const usage = this.#track(session, accepted)
      session.once('remoteSettings', () => {
        usage.begun = true
      })
    })
    drain.add({
      server,
      askClients: () => this.#sayGoAway(),
      closeIdle: () => this.#closeUnused(),
      cut: () => {
        for (const { socket } of this.#connections.values()) socket.destroy()
      },
    })
    this.#server = server
  }

  /** Starts listening and resolves to the port. */
  async start(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, host, resolve)
    })
    this.#idleCheck = setInterval(() => this.#closeIdle(), cappedMs(this.#limits.checkMs)).unref()
    return (this.#server.address() as AddressInfo).port
  }

  /** Uses a certificate for new connections; open ones keep theirs. */
  useCertificate(tls: SecureContextOptions): void {
    this.#server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' })
  }

  #sayGoAway(): number {
    // GOAWAY lets open streams continue; requests that cross it are refused unprocessed and can be retried (RFC 9113 §8.7).
    // §6.8 recommends a first GOAWAY with the highest stream ID. Node cannot send that (it has no
    // nghttp2_submit_shutdown_notice): after any GOAWAY it ignores new streams, so they would hang until the last one.
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
    const usage = this.#connections.get(connection)
    if (!usage) return // The connection has closed.
    usage.open += 1
    exchange.onClose(() => {
      usage.open -= 1
      usage.idleSince = performance.now()
      this.#drain.ended(exchange)
    })
    this.#drain.began(exchange, connection)
    handle(exchange)
  }

  #track(connection: ServerHttp2Session | Socket, socket: Socket): Usage {
    const usage = { socket, open: 0, idleSince: performance.now(), begun: false, asked: false }
    this.#connections.set(connection, usage)
    connection.once('close', () => this.#connections.delete(connection))
    this.#drain.connected(connection)
    return usage
  }

  /** Closes idle HTTP/2 connections; Node closes those of HTTP/1.1. */
  #closeIdle() {
    const { headersTimeoutMs, idleMs } = this.#limits
    const now = performance.now()
    for (const [connection, usage] of this.#connections) {
      if (!('goaway' in connection) || usage.open > 0) continue
      if (now - usage.idleSince < (usage.begun ? idleMs : headersTimeoutMs)) continue
      // After GOAWAY, Node waits until the client closes its side, which a hostile one never does.
      if (usage.asked) usage.socket.destroy()
      else connection.close()
      usage.asked = true
    }
  }
}

/** Node reads these from the server; as options of an HTTP/2 server, versions before 24 ignore them. */
const http1Limits = ({ headersTimeoutMs, requestTimeoutMs, keepAliveMs, checkMs }: ConnectionLimits) => ({
  maxHeaderSize: MAX_HEADER_BYTES,
  // The size is the limit; beyond 2,000 fields, Node would drop the rest silently, e.g. a second Host.
  maxHeadersCount: 0,
  headersTimeout: headersTimeoutMs,
  requestTimeout: requestTimeoutMs,
  keepAliveTimeout: keepAliveMs,
  connectionsCheckingInterval: checkMs,
  // A request without Host is refused like any other malformed one, with a code.
  requireHostHeader: false,
})

interface Usage {
  readonly socket: Socket
  /** The number of open exchanges on the connection. */
  open: number
  /** When the last exchange closed or the connection was opened, by `performance.now`. */
  idleSince: number
  /** Whether the client has begun HTTP/2. */
  begun: boolean
  /** Whether it was asked to close the idle connection. */
  asked: boolean
}

type StreamArguments = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
]
