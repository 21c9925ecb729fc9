import { chmod } from 'node:fs/promises'
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SecureContextOptions } from 'node:tls'
import type { ErrorRequestHandler, Express } from 'express'
import type { HttpError } from '../errors.ts'
import {
  type Checks,
  type Logger,
  Metrics,
  Probes,
  type RequestRecord,
  recordOf,
  recordRequest,
  recordUpgrade,
  runInTrace,
  type Warnings,
} from '../observation/index.ts'
import { type Service, urlHost } from '../process/index.ts'
import { refuseUpgrade, send, sendError } from './answers.ts'
import { Drain } from './drain.ts'
import { expressApp, noSuchEndpoint } from './express-app.ts'
import { foreignPagesGuard } from './foreign-pages.ts'
import type { Handler } from './handler.ts'
import { listenForMetrics, type MetricsConfig } from './metrics-listener.ts'
import { settleTarget } from './request-target.ts'
import { securityHeaders } from './security-headers.ts'

export interface NetworkListener {
  /** The name under which `start` reports the URL; `http` or `https` if it is the only one of its kind. */
  readonly name: string
  readonly host: string
  readonly port: number
  /** Returns the certificate and key, once, when the listener starts. With it the listener uses TLS. */
  readonly tls?: () => SecureContextOptions | Promise<SecureContextOptions>
  /** Configures the TLS server before it listens, e.g. with certificates that rotate. */
  readonly prepare?: (server: https.Server) => void
  /**
   * Answers every request to this listener instead of the route table; health and metrics are on the other listeners.
   */
  readonly handle?: RequestListener
}

/** A unix socket that only its owner can open; the folder that contains it must be private too. */
export interface SocketListener {
  readonly name: string
  /** The path of the socket; must not exist yet. */
  readonly path: string
}

export type Listener = NetworkListener | SocketListener

export interface HttpServiceOptions {
  readonly name: string
  readonly log: Logger
  /** Decides which pages may call the service in development mode, and where its metrics are. */
  readonly config: MetricsConfig
  readonly listeners: readonly [Listener, ...Listener[]]
  /** Registers the routes. */
  readonly routes: (app: Express) => void
  /** Each must pass for `/readyz` to answer 200; the message of a thrown error is shown. */
  readonly checks?: Checks
  /** Shown in the body of `/readyz`, whatever its status; see {@link Warnings}. */
  readonly warnings?: Warnings
  /** Query parameters that contain nothing secret; hops show them with the path. */
  readonly shownParameters?: readonly string[]
  /** Runs once no more requests are expected, to end what would not end on its own, e.g. streams. */
  readonly onDrain?: () => void | Promise<void>
  /** Runs after the last request has ended. */
  readonly onStop?: () => void | Promise<void>
  readonly metrics?: Metrics
  /**
   * Gets each request before the route table and leaves those that it does not handle to `next`: for a service that
   * forwards requests. It runs without security headers and outside the trace, but {@link recordOf} returns its
   * record.
   */
  readonly forward?: Handler
  /**
   * Handles upgrades such as WebSocket handshakes; without it their connections are closed. Each has a record, which ends
   * with the connection; a thrown error is answered.
   */
  readonly onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void | Promise<void>
  /** From the first byte of a request to the last byte of its body; 0 if request bodies are endless streams. */
  readonly requestTimeoutMs?: number
  readonly maxConnections?: number
  /** Set to false for a service with pages, which set their own policy; the default for an API forbids everything. */
  readonly contentSecurityPolicy?: false
  /** Connections that are still busy after this time are destroyed. */
  readonly drainDeadlineMs?: number
}

export interface HttpService extends Service {
  /** The whole service without a port, for supertest. */
  readonly app: RequestListener
  readonly metrics: Metrics
}

/**
 * The client CAs of a listener that does not set its own: none. By default Node would load its whole list of web CAs,
 * which costs 40 ms and 1 MB in every process.
 */
const NO_CLIENT_AUTHORITIES = { ca: [] }
/** Node's default is 16 KiB as well; a token is at most 8 KiB, which leaves room for the other headers. */
const MAX_HEADER_BYTES = 16 * 1024
/** 10 s for the headers and 30 s for the whole request: enough for a phone, too short for Slowloris. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
/** How often Node checks these limits; with its default of 30 s, the first would take up to four times as long. */
const TIMEOUT_CHECK_MS = 2_000
/** As long as the headers may take: a handshake is two round trips. Node's default is two minutes. */
const HANDSHAKE_TIMEOUT_MS = 10_000
/** Longer than the keep-alive of the callers' pools (4 s), so that the caller always closes first. */
const KEEP_ALIVE_MS = 10_000
/** Every caller in the suite pools at most 64 connections; the rest is for curl, browsers and probes. */
const MAX_CONNECTIONS = 10_000
const DRAIN_DEADLINE_MS = 2_500
/** Connections that wait to be accepted. With Node's 511, some of a thousand concurrent callers would wait a second. */
const BACKLOG = 4_096

/** Creates an Express service with all that every service needs around its routes. */
export function httpService(options: HttpServiceOptions): HttpService {
  const { name, log } = options
  const metrics = options.metrics ?? new Metrics(name)
  // Of several services of one process, the one with the routes has the port of the metrics.
  const metricsPort = options.listeners.some(hasRoutes) ? options.config.metricsPort : undefined
  const probes = new Probes(metrics, { ...options, metricsPort })
  let stopping: Promise<void> | undefined
  const draining = new Drain<ServerResponse>(askToLeave)
  /** Node's server no longer tracks a connection once it has been upgraded. */
  const upgraded = new Set<Duplex>()
  const { shownParameters = [] } = options
  const recording = { name, log, metrics, shownParameters }
  const headers = securityHeaders({ pages: options.contentSecurityPolicy === false })

  const { app, classes } = expressApp()
  for (const [path, probe] of probes.answers)
    app.get(path, async (_request, response) => {
      const { status, type, text } = await probe()
      send(response, status, type, text)
    })
  app.use((request, response, next) => {
    recordRequest(recording, request, response)
    next()
  })
  if (options.forward) app.use(options.forward)
  app.use((request, response, next) => {
    for (const [header, value] of headers) response.setHeader(header, value)
    enter(recordOf(request) as RequestRecord, response, next)
  })
  options.routes(app)
  app.use((request) => {
    throw noSuchEndpoint(request)
  })
  app.use(((error, request, response, _next) =>
    sendError(log, error, request, response)) satisfies ErrorRequestHandler)

  /** Returns the request listener through which every request to a listener passes. */
  function guarded(address: Listener): RequestListener {
    const handle = 'path' in address ? undefined : address.handle
    const refusalOf = admission(address)
    return (request, response) => {
      draining.began(response, request.socket)
      response.once('close', () => draining.ended(response))
      const refusal = refusalOf(request)
      if (refusal) {
        recordRequest(recording, request, response)
        sendError(log, refusal, request, response)
      } else if (handle)
        enter(recordRequest(recording, request, response), response, () => handle(request, response))
      else app(request, response)
    }
  }

  /** Returns the checks of requests to a listener. Browsers cannot open a unix socket, so one needs no page guard. */
  function admission(address: Listener): (request: IncomingMessage) => HttpError | undefined {
    if ('path' in address) return settleTarget
    const isForeign = foreignPagesGuard(address.host, options.config)
    return (request) =>
      settleTarget(request) ??
      isForeign({ method: request.method, host: request.headers.host, headers: request.headers })
  }

  async function listen(address: Listener): Promise<Readonly<Record<string, string>>> {
    const { tls, prepare } = 'path' in address ? {} : address
    const limits = {
      ...classes,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // `settleTarget` rejects a request without Host, with a code.
      requireHostHeader: false,
    }
    const serve = guarded(address)
    const secure =
      tls &&
      https.createServer(
        {
          ...limits,
          ...NO_CLIENT_AUTHORITIES,
          handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
          minVersion: 'TLSv1.2',
          ...(await tls()),
        },
        serve,
      )
    if (secure) prepare?.(secure)
    const server = secure ?? http.createServer(limits, serve)
    const { onUpgrade } = options
    const refusalOf = admission(address)
    if (onUpgrade)
      server.on('upgrade', async (request, socket, head) => {
        socket.on('error', () => socket.destroy())
        recordUpgrade(recording, request, socket)
        try {
          const refusal = refusalOf(request)
          if (refusal) throw refusal
          upgraded.add(socket)
          socket.once('close', () => upgraded.delete(socket))
          await onUpgrade(request, socket, head)
        } catch (error) {
          refuseUpgrade(log, error, request, socket)
        }
      })
    // The size is the limit; beyond 2,000 fields, Node would drop the rest silently, e.g. a second Host.
    server.maxHeadersCount = 0
    server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS
    draining.add({
      server,
      closeIdle: () => server.closeIdleConnections(),
      cut: () => {
        server.closeAllConnections()
        for (const socket of upgraded) socket.destroy()
      },
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      if ('path' in address) server.listen(address.path, resolve)
      else server.listen(address.port, address.host, BACKLOG, resolve)
    })
    if ('path' in address) {
      await chmod(address.path, 0o600)
      return { [address.name]: `unix:${address.path}` }
    }
    const bound = (server.address() as AddressInfo).port
    return { [address.name]: `${tls ? 'https' : 'http'}://${urlHost(address.host)}:${bound}` }
  }

  async function drain(delayMs: number | undefined) {
    probes.stopping()
    await draining.run({
      delayMs,
      deadlineMs: options.drainDeadlineMs ?? DRAIN_DEADLINE_MS,
      onClosing: () => options.onDrain?.(),
    })
    await options.onStop?.()
  }

  return {
    name,
    metrics,
    app: guarded(options.listeners[0]),
    async start() {
      try {
        const urls = await allOrEveryFailure([
          ...options.listeners.map(listen),
          listenForMetrics({ ...options.config, metricsPort }, probes, draining),
        ])
        probes.ready()
        return Object.assign({}, ...urls)
      } catch (error) {
        await this.stop()
        throw error
      }
    },
    stop(drainDelayMs) {
      stopping ??= drain(drainDelayMs)
      return stopping
    },
  }
}

/** Whether the route table answers requests to a network listener. */
const hasRoutes = (listener: Listener) => !('path' in listener) && listener.handle === undefined

/** Asks a client to leave; returns false if its response has begun. */
function askToLeave(response: ServerResponse): boolean {
  if (response.headersSent) return false
  response.setHeader('connection', 'close')
  return true
}

/** Sets the request id of the response and runs `answer` in the trace of the request. */
function enter({ requestId, trace }: RequestRecord, response: ServerResponse, answer: () => void): void {
  response.setHeader('x-request-id', requestId)
  runInTrace(trace, answer)
}

/** Waits for all attempts, so that the error names every bad port, not only the first. */
async function allOrEveryFailure<T>(attempts: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(attempts)
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  if (failures.length > 1) throw new AggregateError(failures)
  if (failures.length === 1) throw failures[0]
  return Promise.all(attempts)
}
