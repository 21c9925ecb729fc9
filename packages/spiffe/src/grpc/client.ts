import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import { connect as connectSocket } from 'node:net'
import { cappedMs } from '@hallpass/untrusted/timers'
import { DEFAULT_MAX_MESSAGE_BYTES, Deframer, frame } from './framing.ts'
import type { Method } from './method.ts'
import { decodeStatusMessage, GrpcError, parseStatus, status, statusOfHttp, statusOfReset } from './status.ts'
import { formatTimeout, startTimer } from './timeout.ts'

/** A unix socket or a TCP address. */
export type GrpcTarget = { readonly path: string } | { readonly host: string; readonly port: number }

export interface GrpcClientOptions {
  maxMessageBytes?: number
  connectTimeoutMs?: number
  /** How often a connection with open calls is pinged; 0 for never. */
  keepAliveMs?: number
  /** How long to wait for the answer to a ping before the connection is considered dead. */
  keepAliveTimeoutMs?: number
}

export interface CallOptions {
  metadata?: Readonly<Record<string, string | readonly string[]>>
  /** The deadline: then the call ends with DeadlineExceeded, here and at the server. */
  timeoutMs?: number
  /** Cancels the call. */
  signal?: AbortSignal
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5000

/** grpc-go servers disconnect clients that ping more often than every five minutes. */
const DEFAULT_KEEP_ALIVE_MS = 310_000
const DEFAULT_KEEP_ALIVE_TIMEOUT_MS = 20_000

/** A retry covers one server that is shutting down; a second one in a row is unlikely. */
const MAX_ATTEMPTS = 2

/** A call in progress. */
interface OpenCall {
  readonly session: ClientHttp2Session
  readonly stream: ClientHttp2Stream
  readonly outcome: ReturnType<typeof watchOutcome>
  readonly deframer: Deframer
  /** Why this client ended the call, if it did so before the server. */
  ownEnd: GrpcError | undefined
  release(): void
}

/**
 * A gRPC client over one connection, which is opened by the first call and again after it was lost. It retries only calls
 * that the server has not processed (RFC 9113 §8.7); for all others, only the caller knows whether a retry is safe.
 */
export class GrpcClient {
  readonly #target: GrpcTarget
  readonly #options: GrpcClientOptions
  #session: ClientHttp2Session | undefined
  #closed = false

  constructor(target: GrpcTarget, options: GrpcClientOptions = {}) {
    this.#target = target
    this.#options = options
  }

  /** @throws GrpcError */
  async unary<Q, A>(method: Method<'unary', Q, A>, request: Q, options: CallOptions = {}): Promise<A> {
    for (let attempt = 1; ; attempt += 1) {
      const call = this.#open(method, request, options)
      try {
        return await this.#onlyMessage(method, call)
      } catch (error) {
        // The call crossed a GOAWAY: the server has not processed it, so retry it on a new connection.
        const unseen = call.stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
        if (!unseen || attempt === MAX_ATTEMPTS || call.ownEnd) throw error
      } finally {
        call.release()
      }
    }
  }

  /** Yields the messages of a stream until the server ends it with OK; otherwise throws a GrpcError. Leaving the loop cancels the call. */
  stream<Q, A>(
    method: Method<'stream', Q, A>,
    request: Q,
    options: CallOptions = {},
  ): AsyncGenerator<A, void> {
    return this.#call(method, request, options)
  }

  /** Cancels all calls and closes the connection. */
  close(): void {
    this.#closed = true
    this.#session?.destroy()
    this.#session = undefined
  }

  async *#call<Q, A>(
    method: Method<'unary' | 'stream', Q, A>,
    request: Q,
    options: CallOptions,
  ): AsyncGenerator<A, void> {
    const call = this.#open(method, request, options)
    try {
      for await (const chunk of call.stream)
        for (const message of call.deframer.push(chunk as Buffer, call.outcome.encoding()))
          yield decodeResponse(method, message)
      this.#assertGoodEnd(call)
    } catch (error) {
      throw this.#explain(call, error)
    } finally {
      call.release()
    }
  }

  /** Uses events, because iterating over the stream costs 50% more. */
  #onlyMessage<A>(method: Method<'unary', unknown, A>, call: OpenCall): Promise<A> {
    const { stream, deframer, outcome } = call
    return new Promise((resolve, reject) => {
      let answer: { message: A } | undefined
      let over = false
      const fail = (error: unknown) => {
        over = true
        reject(this.#explain(call, error))
      }
      stream.on('data', (chunk: Buffer) => {
        try {
          for (const message of deframer.push(chunk, outcome.encoding())) {
            if (answer) throw new GrpcError(status.internal, 'expected one response message, received more')
            answer = { message: decodeResponse(method, message) }
          }
        } catch (error) {
          fail(error)
        }
      })
      stream.once('error', fail)
      stream.once('close', () => {
        // Only if needed: creating an error costs more than the rest of the call.
        if (!over) fail(new Error('Premature close'))
      })
      stream.once('end', () => {
        over = true
        try {
          this.#assertGoodEnd(call)
          if (!answer) throw new GrpcError(status.internal, 'expected one response message, received none')
          resolve(answer.message)
        } catch (error) {
          fail(error)
        }
      })
    })
  }

  #open<Q>(
    method: Method<'unary' | 'stream', Q, unknown>,
    request: Q,
    { metadata, timeoutMs, signal }: CallOptions,
  ): OpenCall {
    if (this.#closed) throw new GrpcError(status.cancelled, 'the client is closed')
    signal?.throwIfAborted()
    const session = this.#connected()
    const stream = session.request({
      ...metadata,
      ':method': 'POST',
      ':path': method.path,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': 'hallpass-spiffe',
      ...(timeoutMs !== undefined && { 'grpc-timeout': formatTimeout(timeoutMs) }),
    })
    const endHere = (error: GrpcError) => {
      call.ownEnd ??= error
      stream.close(constants.NGHTTP2_CANCEL)
      stream.destroy()
    }
    const stopTimer =
      timeoutMs === undefined
        ? () => {}
        : startTimer(timeoutMs, () =>
            endHere(new GrpcError(status.deadlineExceeded, 'context deadline exceeded')),
          )
    const onAbort = () =>
      endHere(new GrpcError(status.cancelled, 'context canceled', { cause: signal?.reason }))
    signal?.addEventListener('abort', onAbort, { once: true })
    const call: OpenCall = {
      session,
      stream,
      outcome: watchOutcome(stream),
      deframer: new Deframer(this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES),
      ownEnd: undefined,
      release() {
        stopTimer()
        signal?.removeEventListener('abort', onAbort)
        // Cancel only unfinished calls: a server treats a reset for each finished call as an attack and
        // disconnects (CVE-2023-44487).
        if (!stream.closed && !stream.readableEnded) stream.close(constants.NGHTTP2_CANCEL)
      },
    }
    stream.end(frame(method.request.encode(request)))
    return call
  }

  #assertGoodEnd({ session, stream, outcome, deframer, ownEnd }: OpenCall): void {
    const failed = ownEnd ?? outcome.error()
    if (failed) throw failed
    if (!outcome.hasStatus()) throw this.#endedWithoutStatus(session, stream)
    if (deframer.pending) throw new GrpcError(status.internal, 'the last message is truncated')
  }

  #explain({ session, stream, outcome, ownEnd }: OpenCall, thrown: unknown): GrpcError {
    if (ownEnd) return ownEnd
    if (thrown instanceof GrpcError) return thrown
    return outcome.error() ?? this.#lost(session, stream, thrown)
  }

  #connected(): ClientHttp2Session {
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return this.#session
    const socket = connectSocket(this.#target)
    // The `:authority` is `localhost`, because some servers reject a unix socket path there.
    const session = connect('http://localhost', { createConnection: () => socket })
    const stopTimer = startTimer(this.#options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS, () =>
      socket.destroy(Object.assign(new Error(`connect ETIMEDOUT ${this.#name()}`), { code: 'ETIMEDOUT' })),
    )
    session.once('remoteSettings', stopTimer)
    session.once('close', stopTimer)
    session.on('error', () => {}) // Reported by the errors of its calls.
    // An open call keeps the process alive; an idle connection does not.
    keepAlive(
      session,
      this.#options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS,
      this.#options.keepAliveTimeoutMs ?? DEFAULT_KEEP_ALIVE_TIMEOUT_MS,
    )
    this.#session = session
    return session
  }

  #name(): string {
    return 'path' in this.#target ? this.#target.path : `${this.#target.host}:${this.#target.port}`
  }

  /** Explains a stream that ended without a status: lost connection, reset, or faulty server. */
  #endedWithoutStatus(session: ClientHttp2Session, stream: ClientHttp2Stream): GrpcError {
    if (this.#closed) return new GrpcError(status.cancelled, 'the client is closed')
    if (session.destroyed || session.closed)
      return new GrpcError(status.unavailable, `the connection to ${this.#name()} was lost`)
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR)
      return new GrpcError(
        statusOfReset(stream.rstCode),
        `the server reset the stream, code ${stream.rstCode}`,
      )
    return new GrpcError(status.internal, 'the server closed the stream without a status')
  }

  /** Explains a call that failed before it had a status: lost connection, or reset by the server. */
  #lost(session: ClientHttp2Session, stream: ClientHttp2Stream, thrown: unknown): GrpcError {
    const cause = (thrown as Error | undefined)?.cause ?? thrown
    const { code, message } = (cause ?? {}) as { code?: string; message?: string }
    if (this.#closed) return new GrpcError(status.cancelled, 'the client is closed', { cause })
    if (code === 'ERR_HTTP2_STREAM_ERROR' && !session.destroyed)
      return new GrpcError(statusOfReset(stream.rstCode), `the server reset the stream: ${message}`, {
        cause,
      })
    if (code !== undefined && !code.startsWith('ERR_'))
      return new GrpcError(status.unavailable, `cannot reach ${this.#name()}: ${message}`, { cause })
    return new GrpcError(status.unavailable, `the connection to ${this.#name()} was lost: ${message}`, {
      cause,
    })
  }
}

function decodeResponse<A>(method: Method<'unary' | 'stream', unknown, A>, message: Buffer): A {
  try {
    return method.response.decode(message)
  } catch (error) {
    throw new GrpcError(status.internal, `the response cannot be decoded: ${(error as Error).message}`)
  }
}

/** Collects the status of a call from its response headers and trailers. */
function watchOutcome(stream: ClientHttp2Stream) {
  let headers: IncomingHttpHeaders | undefined
  let trailers: IncomingHttpHeaders | undefined
  stream.once('response', (received) => {
    headers = received
  })
  stream.once('trailers', (received) => {
    trailers = received
  })

  function error(): GrpcError | undefined {
    const said = trailers?.['grpc-status'] === undefined ? headers : trailers
    const code = said?.['grpc-status']
    if (code !== undefined) {
      const parsed = parseStatus(String(code))
      const text = decodeStatusMessage(String(said?.['grpc-message'] ?? ''))
      return parsed === status.ok ? undefined : new GrpcError(parsed, text)
    }
    const httpStatus = Number(headers?.[':status'] ?? 200)
    if (httpStatus !== 200)
      return new GrpcError(
        statusOfHttp(httpStatus),
        `unexpected HTTP status code received from server: ${httpStatus}`,
      )
    return undefined
  }

  return {
    encoding: () => headers?.['grpc-encoding'] as string | undefined,
    error,
    hasStatus: () => (trailers ?? headers)?.['grpc-status'] !== undefined,
  }
}

/** Detects a hanging server: destroys the session if a ping is not answered. */
function keepAlive(session: ClientHttp2Session, everyMs: number, timeoutMs: number): void {
  if (everyMs <= 0) return
  const timer = setInterval(() => {
    if (session.destroyed) return
    const stopTimer = startTimer(timeoutMs, () =>
      session.destroy(new Error('keepalive ping was not answered')),
    )
    session.ping(stopTimer)
  }, cappedMs(everyMs))
  timer.unref()
  session.once('close', () => clearInterval(timer))
}
