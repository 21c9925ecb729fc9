import { createSecureContext, type PeerCertificate } from 'node:tls'
import { type buildConnector, type Dispatcher, Pool } from 'undici'
import { callBudget, DEADLINE_HEADER } from '../deadline.ts'
import { currentTrace, type TraceContext } from '../observation/index.ts'
import { beginCall } from './begin-call.ts'
import { askWithin, type PeerAnswer } from './peer-answer.ts'
import { deadlinePassed, peerFailure } from './peer-errors.ts'
import { openWithin, type PeerStream } from './peer-stream.ts'

export interface PeerOptions {
  /** The name used in errors and diagrams, e.g. `jwt-factory`. */
  readonly peer: string
  /**
   * From the call to the last byte of the response; shorter if the request that causes the call has an earlier
   * deadline.
   */
  readonly timeoutMs?: number
  /** A longer response counts as a failure of the peer. */
  readonly maxAnswerBytes?: number
  readonly tls?: {
    /** The only CAs that are trusted, as PEM; absent: the system's. */
    readonly ca?: string | undefined
    readonly cert?: string
    readonly key?: string
    readonly servername?: string
    readonly checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined
  }
  /** Creates the connections instead of `tls`, e.g. with certificates that rotate; it must verify the peer. */
  readonly connect?: buildConnector.connector
  /** Wraps the pool, e.g. to retire connections in time. */
  readonly interceptor?: Dispatcher.DispatcherComposeInterceptor
  /** Whether bodies are secret, e.g. at a token endpoint: they are then omitted from hops. */
  readonly confidential?: boolean
  /** Called for each request; returns the value of the `Authorization` header. */
  readonly authorization?: () => string | Promise<string>
}

export interface PeerClientOptions extends PeerOptions {
  readonly baseUrl: string
  /** A unix socket to connect to instead of the host of `baseUrl`. */
  readonly socketPath?: string
}

/** Five seconds: far beyond any response of the suite (p99 < 50 ms), short enough for a person to wait. */
const TIMEOUT_MS = 5_000
/** The part of the timeout for a response that many requests share: they need the rest to report which peer failed. */
const SHARED_PART = 0.5
/** A call over loopback takes a millisecond, so 64 connections carry tens of thousands of calls per second. */
const MAX_CONNECTIONS = 64
/** Responses of the suite are a few KiB; the JWKS of another issuer is at most 64 KiB. */
const MAX_ANSWER_BYTES = 1024 * 1024
/** undici's value for no limit. */
const UNLIMITED = -1

export interface PeerCall {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** Relative to the peer's base URL, with the query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | undefined
  /** The hop that causes this call, if the caller has it at hand; by default the current one. */
  readonly trace?: TraceContext | undefined
  /** For this call, instead of the peer's timeout. */
  readonly timeoutMs?: number | undefined
  /**
   * The response is cached for other requests too, e.g. a JWKS. The deadline of the request that causes the call is
   * then ignored, or an impatient caller could make it fail for all.
   */
  readonly shared?: boolean | undefined
}

/** Calls one peer. Any status is a result for the caller to judge; a missing response is a PeerError. */
export type PeerCaller = (call: PeerCall) => Promise<PeerAnswer>

/** Opens a stream from one peer; the timeout applies to the response headers only. */
export type PeerOpener = (call: PeerCall) => Promise<PeerStream>

/**
 * Creates a function that calls a peer where every microsecond counts: a pool of keep-alive connections, with timeouts,
 * trace, and errors that name the peer. Elsewhere use `createPeerClient`, the same as an axios instance
 * (docs/decisions/003-axios-over-a-pool.md). TLS is always verified; the secure context is created once.
 */
export const createPeerCaller = (options: PeerClientOptions): PeerCaller => connectPeer(options).ask

/** Creates the pool of one peer and the two ways to call it. */
export function connectPeer(options: PeerClientOptions): { ask: PeerCaller; open: PeerOpener } {
  const { peer, timeoutMs: ownMs = TIMEOUT_MS, authorization, socketPath, confidential = false } = options
  const base = new URL(options.baseUrl)
  const prefix = base.pathname.replace(/\/$/, '')
  const pool = createPool(base.origin, ownMs, options)
  /** Streams have no length, and each has its own connection. */
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
    // Redirects are not followed: a token must only reach the peer for which it was issued.
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
  /** Absent for a stream. */
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
      ...((ca ?? cert) !== undefined && origin.startsWith('https:')
        ? { secureContext: createSecureContext({ ca, cert, key, minVersion: 'TLSv1.2' }) }
        : {}),
    },
  })
  return options.interceptor ? pool.compose(options.interceptor) : pool
}
