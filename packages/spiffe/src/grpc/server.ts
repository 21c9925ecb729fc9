import { EventEmitter, once } from 'node:events'
import {
  constants,
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import {
  type AddressInfo,
  createServer as createNetServer,
  type ListenOptions,
  type Server,
  type Socket,
} from 'node:net'
import { cappedMs } from '@hallpass/untrusted/timers'
import { ActiveCall } from './active-call.ts'
import { DEFAULT_MAX_MESSAGE_BYTES } from './framing.ts'
import { Metadata } from './metadata.ts'
import type { Method } from './method.ts'
import { GrpcError, status } from './status.ts'
import { parseTimeout, startTimer } from './timeout.ts'

/** A peer that connects but does not start HTTP/2 in this time is disconnected. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** Concurrent calls per connection; HTTP/2 clients queue the rest. */
const MAX_CONCURRENT_CALLS = 1024

/** How long to wait for the last trailers to be sent when the server closes. */
const FAREWELL_MS = 200

/** What a handler gets in addition to the request. */
export interface ServerCall {
  readonly metadata: Metadata
  /** The accepted socket; attestation reads the peer's credentials from it. */
  readonly socket: Socket
  /** Aborted when the caller disconnects, the deadline passes or the server closes. */
  readonly signal: AbortSignal
}

export type UnaryHandler<Request, Response> = (
  request: Request,
  call: ServerCall,
) => Promise<Response> | Response
export type StreamHandler<Request, Response> = (request: Request, call: ServerCall) => AsyncIterable<Response>

export interface GrpcServerOptions {
  maxMessageBytes?: number
  /** Called with each socket as it is accepted, before any byte is read; throws to reject it. */
  onConnection?: (socket: Socket) => void
  /** Runs before the handler of a known method; throws a GrpcError to reject the call. */
  authorize?: (call: ServerCall, path: string) => Promise<void> | void
  /** Receives what handlers throw, except GrpcErrors; the caller gets only a generic Internal error. */
  onError?: (error: unknown, path: string) => void
}

type Route =
  | { readonly kind: 'unary'; answer(request: Buffer, call: ServerCall): Promise<Buffer> }
  | { readonly kind: 'stream'; answer(request: Buffer, call: ServerCall): AsyncIterable<Buffer> }

const RAW_SOCKET = Symbol('raw socket')

/**
 * A gRPC server on a unix socket or TCP, with the subset that the Workload API needs: unary and server-streaming methods, no
 * compression, no TLS. See docs/decisions/006-grpc-subset.md.
 *
 * Emits `call` (path, status code) when a call ends.
 */
export class GrpcServer extends EventEmitter<{ call: [path: string, code: number] }> {
  readonly #options: GrpcServerOptions
  readonly #routes = new Map<string, Route>()
  readonly #http2: Http2Server
  readonly #listeners = new Set<Server>()
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #sockets = new Set<Socket>()
  readonly #calls = new Set<ActiveCall>()
  #closing = false

  constructor(options: GrpcServerOptions = {}) {
    super()
    this.#options = options
    this.#http2 = createHttp2Server({ settings: { maxConcurrentStreams: MAX_CONCURRENT_CALLS } })
    this.#http2.on('session', (session) => this.#keepSession(session))
    this.#http2.on('stream', (...event: unknown[]) => {
      // Node's types lack the fourth argument, the raw headers, in which repeated headers stay separate.
      const [stream, headers, , rawHeaders] = event as [
        ServerHttp2Stream,
        IncomingHttpHeaders,
        number,
        string[],
      ]
      void this.#serve(stream, headers, Metadata.ofRawHeaders(rawHeaders))
    })
    this.#http2.on('sessionError', () => {}) // The session is destroyed, and its calls end through their own events.
  }

  unary<Q, A>(method: Method<'unary', Q, A>, handler: UnaryHandler<Q, NoInfer<A>>): this {
    this.#routes.set(method.path, {
      kind: 'unary',
      async answer(request, call) {
        return method.response.encode(await handler(decodeRequest(method, request), call))
      },
    })
    return this
  }

  stream<Q, A>(method: Method<'stream', Q, A>, handler: StreamHandler<Q, NoInfer<A>>): this {
    this.#routes.set(method.path, {
      kind: 'stream',
      async *answer(request, call) {
        for await (const message of handler(decodeRequest(method, request), call))
          yield method.response.encode(message)
      },
    })
    return this
  }

  /** Listens on `{ path }` or `{ host, port }` and returns the port. Can be called for several addresses. */
  async listen(address: ListenOptions): Promise<{ port: number | undefined }> {
    const listener = createNetServer((socket) => this.accept(socket))
    listener.listen(address)
    await once(listener, 'listening')
    this.#listeners.add(listener)
    const bound = listener.address() as AddressInfo | string | null
    return { port: bound !== null && typeof bound === 'object' ? bound.port : undefined }
  }

  /** Serves a socket that was accepted elsewhere. */
  accept(socket: Socket): void {
    if (this.#closing) {
      socket.destroy()
      return
    }
    socket.on('error', () => socket.destroy())
    try {
      this.#options.onConnection?.(socket)
    } catch {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    Object.defineProperty(socket, RAW_SOCKET, { value: socket })
    this.#http2.emit('connection', socket)
  }

  /**
   * Stops the server: accepts no new connections, sends a GOAWAY, ends streams with Unavailable, and lets unary calls finish
   * within `graceMs`. A call that crosses the GOAWAY is rejected unprocessed, so the client can retry it (RFC 9113 §8.7).
   */
  async close(graceMs = 1000): Promise<void> {
    this.#closing = true
    for (const listener of this.#listeners) listener.close()
    const goodbye = new GrpcError(status.unavailable, 'the server is shutting down')
    for (const call of this.#calls) if (call.kind === 'stream') call.end(goodbye)
    for (const session of this.#sessions) session.close()
    const calls = [...this.#calls].map((call) => call.done)
    await Promise.race([Promise.all(calls), pause(graceMs)])
    for (const call of this.#calls) call.end(goodbye)
    const farewells = [...this.#sessions].map((session) => once(session, 'close'))
    await Promise.race([Promise.all(farewells), pause(FAREWELL_MS)])
    for (const session of this.#sessions) session.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  #keepSession(session: ServerHttp2Session): void {
    this.#sessions.add(session)
    const stopTimer = startTimer(HANDSHAKE_TIMEOUT_MS, () => session.destroy())
    session.once('remoteSettings', stopTimer)
    session.once('close', () => {
      stopTimer()
      this.#sessions.delete(session)
    })
    session.on('error', () => session.destroy())
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, metadata: Metadata): Promise<void> {
    if (!isGrpc(stream, headers)) return
    const path = String(headers[':path'])
    const route = this.#routes.get(path)
    const call = new ActiveCall(stream, route?.kind ?? 'unary', (code) => {
      this.#calls.delete(call)
      this.emit('call', path, code)
    })
    this.#calls.add(call)
    try {
      if (!route) throw new GrpcError(status.unimplemented, `unknown method ${path}`)
      if (this.#closing) throw new GrpcError(status.unavailable, 'the server is shutting down')
      const timeout = metadata.get('grpc-timeout')
      if (timeout !== undefined) call.endIn(parseTimeout(timeout))
      const serverCall: ServerCall = {
        metadata,
        socket: rawSocket(stream),
        get signal() {
          return call.signal
        },
      }
      await this.#options.authorize?.(serverCall, path)
      const request = await call.readRequest(
        metadata,
        this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      )
      if (route.kind === 'unary') return call.answer(await route.answer(request, serverCall))
      for await (const message of route.answer(request, serverCall)) {
        if (call.ended) break
        await call.send(message)
      }
      call.end()
    } catch (error) {
      if (!(error instanceof GrpcError) && !call.ended) this.#options.onError?.(error, path)
      call.end(error instanceof GrpcError ? error : new GrpcError(status.internal, 'internal error'))
    }
  }
}

/** Returns the socket that `accept` stored, because the session exposes only a restricted proxy. */
function rawSocket(stream: ServerHttp2Stream): Socket {
  const proxy = stream.session?.socket as unknown as Record<symbol, Socket> | undefined
  const socket = proxy?.[RAW_SOCKET]
  if (!socket) throw new GrpcError(status.cancelled, 'the caller has disconnected')
  return socket
}

const pause = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, cappedMs(milliseconds)).unref())

function decodeRequest<Q>(method: Method<'unary' | 'stream', Q, unknown>, request: Buffer): Q {
  try {
    return method.request.decode(request)
  } catch (error) {
    throw new GrpcError(status.internal, `the request cannot be decoded: ${(error as Error).message}`)
  }
}

/** Tests for a gRPC request; answers any other request with an HTTP error. */
function isGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const refuse = (httpStatus: number) => {
    stream.respond({ ':status': httpStatus }, { endStream: true })
    stream.close(constants.NGHTTP2_NO_ERROR)
    return false
  }
  if (headers[':method'] !== 'POST') return refuse(405)
  if (!/^application\/grpc($|[+;])/.test(headers['content-type'] ?? '')) return refuse(415)
  return true
}
