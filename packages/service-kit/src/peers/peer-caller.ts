import { createSecureContext, type PeerCertificate } from 'node:tls'
import { type buildConnector, type Dispatcher, Pool } from 'undici'
import { currentTrace, type TraceContext } from '../observation/trace.ts'
import { beginCall } from './begin-call.ts'
import { callBudget, DEADLINE_HEADER } from './deadline.ts'
import { askWithin, type PeerAnswer } from './peer-answer.ts'
import { deadlinePassed, peerFailure } from './peer-errors.ts'
import { openWithin, type PeerStream } from './peer-stream.ts'

export interface PeerOptions {
  /** The name that errors and pictures use, e.g. `jwt-factory`. */
  readonly peer: string
  /** From the call to the last byte of the answer; less when the request that causes the call has a closer deadline. */
  readonly timeoutMs?: number
  /** A longer answer is a failure of the peer. */
  readonly maxAnswerBytes?: number
  readonly tls?: {
    /** The only authorities that are trusted, as PEM. */
    readonly ca: string
    readonly cert?: string
    readonly key?: string
    readonly servername?: string
    readonly checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined
  }
  /** Makes the connections in place of `tls`, e.g. with certificates that rotate; it verifies the peer. */
  readonly connect?: buildConnector.connector
  /** Stands between the calls and the pool, e.g. to let connections go in time. */
  readonly interceptor?: Dispatcher.DispatcherComposeInterceptor
  /** What is sent and answered is nobody else's, e.g. at a token endpoint: a watched trace shows no body of it. */
  readonly confidential?: boolean
  /** Called for each request; the result goes into the `Authorization` header. */
  readonly authorization?: () => string | Promise<string>
}

export interface PeerClientOptions extends PeerOptions {
  readonly baseUrl: string
  /** A unix socket to connect to instead of the host of `baseUrl`. */
  readonly socketPath?: string
}

/** Five seconds: far beyond any answer of the suite (p99 < 50 ms), short enough for a person to wait. */
const TIMEOUT_MS = 5_000
/** Of what is fetched for many requests at once: those that wait for it must still be able to say for which peer. */
const SHARED_PART = 0.5
/** A loopback call takes a millisecond, so 64 carry tens of thousands of calls a second. */
const MAX_CONNECTIONS = 64
/** Answers of the suite are a few KiB; a key set of a foreign issuer is at most 64 KiB. */
const MAX_ANSWER_BYTES = 1024 * 1024
/** What the pool takes for no limit. */
const UNLIMITED = -1

export interface PeerCall {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** Below the peer's base URL, with its query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | undefined
  /** The hop that causes this call, for whoever has it at hand; the current one by default. */
  readonly trace?: TraceContext | undefined
  /** For this call, in place of the peer's. */
  readonly timeoutMs?: number | undefined
  /**
   * The answer is kept for other requests, too, e.g. a key set. The deadline of the one that causes the call does not
   * count then, or an impatient caller could make it fail for all.
   */
  readonly shared?: boolean | undefined
}

/** Calls one peer. Every status is an answer, for the caller to judge; no answer is a PeerError. */
export type PeerCaller = (call: PeerCall) => Promise<PeerAnswer>

/** Calls one peer for a stream: the time that a call has is for the head of the answer. */
export type PeerOpener = (call: PeerCall) => Promise<PeerStream>

/**
 * How a service calls another where each microsecond counts: one pool of kept-alive connections, with time-outs, trace
 * and errors that name the peer. `createPeerClient` is the same as an axios instance, for everywhere else
 * (docs/decisions/003-axios-over-a-pool.md). TLS is verified, always; the secure context is made once.
 */
export const createPeerCaller = (options: PeerClientOptions): PeerCaller => connectPeer(options).ask

/** The pool of one peer, and the two ways to call it. */
export function connectPeer(options: PeerClientOptions): { ask: PeerCaller; open: PeerOpener } {
  const { peer, timeoutMs: ownMs = TIMEOUT_MS, authorization, socketPath, confidential = false } = options
  const base = new URL(options.baseUrl)
  const prefix = base.pathname.replace(/\/$/, '')
  const pool = createPool(base.origin, ownMs, options)
  /** Streams have no length, and each keeps a connection to itself. */
  let streams: Pick<Dispatcher, 'dispatch'> | undefined
  const openStream: Through<PeerStream & Told> = (_pool, request, budgetMs) => {
    streams ??= createPool(base.origin, ownMs, { ...options, maxAnswerBytes: UNLIMITED }, null)
    return openWithin(streams, request, budgetMs)
  }

  const send = async <T>(
    through: Through<T>,
    call: PeerCall,
    traceparent: string,
    budgetMs: number,
  ): Promise<T> => {
    if (budgetMs === 0) throw deadlinePassed(peer)
    const headers: Record<string, string> = {
      ...call.headers,
      traceparent,
      [DEADLINE_HEADER]: `${budgetMs}`,
    }
    if (authorization && headers.authorization === undefined) headers.authorization = await authorization()
    // Redirects are not followed: a token must reach the peer it was made for, and no other.
    const { method, path, body = null } = call
    return through(pool, { method, path: prefix + path, headers, body }, budgetMs)
  }

  const callThrough =
    <T extends Told>(through: Through<T>) =>
    async (call: PeerCall): Promise<T> => {
      const { method, path, headers, body, trace = currentTrace(), shared = false } = call
      const { traceparent, tell } = beginCall(
        { peer, method, path, authorization: headers?.authorization, body: confidential ? undefined : body },
        trace,
      )
      const timeoutMs = call.timeoutMs ?? ownMs
      const budgetMs = shared ? timeoutMs * SHARED_PART : callBudget(trace?.deadline, timeoutMs)
      try {
        const answer = await send(through, call, traceparent, budgetMs)
        tell({ status: answer.status, answer: confidential ? undefined : answer.text })
        return answer
      } catch (cause) {
        const error = peerFailure({ peer, address: socketPath ?? base.origin, timeoutMs: budgetMs }, cause)
        tell({ reason: error.code, message: error.message })
        throw error
      }
    }

  return { ask: callThrough(askWithin), open: callThrough(openStream) }
}

interface Told {
  readonly status: number
  /** A stream has none yet. */
  readonly text?: string
}

type Through<T> = (
  pool: Pick<Dispatcher, 'dispatch'>,
  request: Dispatcher.DispatchOptions,
  timeoutMs: number,
) => Promise<T>

function createPool(
  origin: string,
  timeoutMs: number,
  options: PeerClientOptions,
  connections: number | null = MAX_CONNECTIONS,
): Pick<Dispatcher, 'dispatch'> {
  const { tls, socketPath, maxAnswerBytes = MAX_ANSWER_BYTES } = options
  const { ca, cert, key, ...connect } = tls ?? {}
  const pool = new Pool(origin, {
    connections,
    maxResponseSize: maxAnswerBytes,
    connect: options.connect ?? {
      timeout: timeoutMs,
      ...(socketPath === undefined ? {} : { socketPath }),
      ...connect,
      ...(ca !== undefined && origin.startsWith('https:')
        ? { secureContext: createSecureContext({ ca, cert, key, minVersion: 'TLSv1.2' }) }
        : {}),
    },
  })
  return options.interceptor ? pool.compose(options.interceptor) : pool
}
