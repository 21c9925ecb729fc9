import { createSecureContext, type PeerCertificate } from 'node:tls'
import axios, { AxiosHeaders, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios'
import { type buildConnector, Pool } from 'undici'
import { PeerError } from './errors.ts'
import { publishHop, shownBody, shownToken } from './hops.ts'
import { nextHop, type TraceContext } from './trace.ts'

export type { AxiosInstance } from 'axios'

export interface PeerClientOptions {
  /** The name that errors and pictures use, e.g. `jwt-factory`. */
  readonly peer: string
  readonly baseUrl: string
  /** A unix socket to connect to instead of the host of `baseUrl`. */
  readonly socketPath?: string
  /** From the call to the last byte of the answer. */
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
  /** Called for each request; the result goes into the `Authorization` header. */
  readonly authorization?: () => string | Promise<string>
}

/** Five seconds: far beyond any answer of the suite (p99 < 50 ms), short enough for a person to wait. */
const TIMEOUT_MS = 5_000
/** A loopback call takes a millisecond, so 64 carry tens of thousands of calls a second. */
const MAX_CONNECTIONS = 64
/** Answers of the suite are a few KiB; a key set of a foreign issuer is at most 64 KiB. */
const MAX_ANSWER_BYTES = 1024 * 1024

/**
 * How a service calls another: one axios instance per peer over one pool of kept-alive connections.
 * Every status is an answer, for the caller to judge; no answer is a {@link PeerError} that names the peer.
 * TLS is verified, always; the secure context is made once.
 */
export function createPeerClient(options: PeerClientOptions): AxiosInstance {
  const {
    peer,
    timeoutMs = TIMEOUT_MS,
    maxAnswerBytes = MAX_ANSWER_BYTES,
    tls,
    authorization,
    socketPath,
    connect: connector,
  } = options
  const base = new URL(options.baseUrl)
  const prefix = base.pathname.replace(/\/$/, '')
  const { ca, cert, key, ...connect } = tls ?? {}
  const pool = new Pool(base.origin, {
    connections: MAX_CONNECTIONS,
    maxResponseSize: maxAnswerBytes,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: connector ?? {
      timeout: timeoutMs,
      ...(socketPath === undefined ? {} : { socketPath }),
      ...connect,
      ...(tls ? { secureContext: createSecureContext({ ca, cert, key, minVersion: 'TLSv1.2' }) } : {}),
    },
  })

  const send = async (config: InternalAxiosRequestConfig, traceparent: string) => {
    const headers = config.headers.toJSON() as Record<string, string>
    headers.traceparent = traceparent
    if (authorization && headers.Authorization === undefined) headers.Authorization = await authorization()
    // Redirects are not followed: a token must reach the peer it was made for, and no other.
    const answer = await pool.request({
      path: prefix + axios.getUri({ url: config.url ?? '/', params: config.params }),
      method: (config.method ?? 'get').toUpperCase() as 'GET',
      headers,
      body: config.data ?? null,
      ...(config.signal ? { signal: config.signal as AbortSignal } : {}),
    })
    // The pool's own body timer starts anew with each chunk; a peer that drips must not hold the caller for ever.
    const deadline = setTimeout(() => answer.body.destroy(new DripTimeout()), timeoutMs)
    const data = await answer.body.text().finally(() => clearTimeout(deadline))
    return {
      data,
      status: answer.statusCode,
      statusText: '',
      headers: new AxiosHeaders(answer.headers as Record<string, string>),
      config,
    }
  }

  return axios.create({
    adapter: async (config) => {
      const { trace, traceparent } = nextHop()
      const tell = trace.sampled ? observeCall(trace, peer, config) : undefined
      try {
        const answer = await send(config, traceparent)
        tell?.({ status: answer.status }, answer.data)
        return answer
      } catch (cause) {
        const error = toPeerError(peer, socketPath ?? base.origin, timeoutMs, cause)
        tell?.({ reason: error.code, message: error.message })
        throw error
      }
    },
    validateStatus: null,
  })
}

/** Starts the clock of a call that somebody watches; the result tells how it ended. */
function observeCall(trace: TraceContext, peer: string, config: InternalAxiosRequestConfig) {
  const startedAt = Date.now()
  const started = performance.now()
  return (outcome: { status?: number; reason?: string; message?: string }, answer?: unknown) => {
    const token = shownToken(config.headers.get('authorization') as string | undefined)
    const requestBody = shownBody(config.data)
    const answerBody = shownBody(answer)
    publishHop({
      kind: 'call',
      traceId: trace.traceId,
      spanId: trace.spanId,
      parentId: trace.parentId,
      service: trace.service,
      peer,
      method: (config.method ?? 'get').toUpperCase(),
      path: axios.getUri({ url: config.url ?? '/', params: config.params }),
      startedAt,
      durationMs: performance.now() - started,
      ...outcome,
      ...(token ? { token } : {}),
      ...(requestBody === undefined ? {} : { requestBody }),
      ...(answerBody === undefined ? {} : { answerBody }),
    })
  }
}

class DripTimeout extends Error {
  readonly code = 'BODY_TIMEOUT'
}

function toPeerError(peer: string, origin: string, timeoutMs: number, error: unknown): PeerError {
  const { code = '', name, message } = error as { code?: string; name: string; message: string }
  if (/TIMEOUT|ETIMEDOUT/.test(code))
    return new PeerError(
      peer,
      504,
      'peer_timeout',
      `${peer} at ${origin} did not answer within ${timeoutMs} ms.`,
      error,
    )
  if (/CERT|TLS|SSL|ALTNAME|SIGNATURE/.test(code) || /^(X509|Spiffe)/.test(name))
    return new PeerError(
      peer,
      502,
      'peer_not_trusted',
      `${peer} at ${origin} is not trusted (${/^[A-Z_]+$/.test(code) ? code : message}).`,
      error,
    )
  return new PeerError(
    peer,
    502,
    'peer_unreachable',
    `${peer} at ${origin} is not reachable (${code || message}).`,
    error,
  )
}

/** An answer that a client did not expect, as an error that names the peer. */
export function unexpectedAnswer(peer: string, status: number, detail: string): PeerError {
  return new PeerError(peer, 502, 'peer_unexpected_answer', `${peer} answered ${status}: ${detail}`)
}
