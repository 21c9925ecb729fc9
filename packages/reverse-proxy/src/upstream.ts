import { createSecureContext, type SecureContext } from 'node:tls'
import { type PeerError, peerFailure } from '@hallpass/service-kit'
import { type buildConnector, type Dispatcher, Pool } from 'undici'

export interface UpstreamOptions {
  /** The name used in errors, e.g. `api`. */
  readonly name: string
  /** Only scheme, host and port: the path of the request is forwarded unchanged. */
  readonly url: string
  readonly tls?: {
    /** The only CAs that are trusted, as PEM. */
    readonly ca: string
    readonly cert?: string
    readonly key?: string
    readonly servername?: string
  }
  /** Creates the connections instead of `tls`, e.g. with certificates that rotate; it must verify the upstream. */
  readonly connect?: buildConnector.connector
  /** Wraps the pool, e.g. to retire connections in time. */
  readonly interceptor?: Dispatcher.DispatcherComposeInterceptor
  readonly maxConnections?: number
  readonly connectTimeoutMs?: number
  /** From the request to the first byte of the response. */
  readonly answerTimeoutMs?: number
  /** Between two chunks of the response. */
  readonly idleTimeoutMs?: number
}

/** A busy hop uses one connection per request in flight; beyond this, requests queue. */
const MAX_CONNECTIONS = 1_024
/** A running machine accepts immediately; a request to one that is down should go elsewhere soon. */
const CONNECT_TIMEOUT_MS = 3_000
const ANSWER_TIMEOUT_MS = 30_000
/** Event streams send a comment every 15 to 30 s. */
const IDLE_TIMEOUT_MS = 300_000
/** Shorter than the keep-alive of our servers (10 s), so that they never close a connection while it is being used. */
const KEEP_ALIVE_MS = 4_000

/** A server that requests are forwarded to, over keep-alive connections. TLS is always verified. */
export class Upstream {
  readonly name: string
  /** As shown in access logs. */
  readonly address: string
  readonly url: URL
  /** From the request to the first byte of the response. */
  readonly answerTimeoutMs: number
  /** The pool directly instead of axios: every request passes here (docs/decisions/003-axios-over-a-pool.md). */
  readonly pool: Pick<Dispatcher, 'dispatch' | 'destroy'>
  readonly secureContext: SecureContext | undefined
  readonly servername: string | undefined
  readonly #connectTimeoutMs: number

  constructor(options: UpstreamOptions) {
    const { name, tls, answerTimeoutMs = ANSWER_TIMEOUT_MS } = options
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS
    this.answerTimeoutMs = answerTimeoutMs
    this.name = name
    this.url = new URL(options.url)
    this.address = `${this.url.hostname}:${this.url.port || (this.url.protocol === 'https:' ? 443 : 80)}`
    this.secureContext = tls
      ? createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' })
      : undefined
    this.servername = tls?.servername
    const pool = new Pool(this.url.origin, {
      connections: options.maxConnections ?? MAX_CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: answerTimeoutMs,
      bodyTimeout: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      // Connecting is attempted for each new request, so that a restarted upstream is used immediately.
      connect: options.connect ?? {
        timeout: this.#connectTimeoutMs,
        ...(this.secureContext ? { secureContext: this.secureContext } : {}),
        ...(this.servername ? { servername: this.servername } : {}),
      },
    })
    this.pool = options.interceptor ? pool.compose(options.interceptor) : pool
  }

  /** Maps a failure of this upstream to an error that names it and its time limit. */
  failure(cause: unknown, answerMs = this.answerTimeoutMs): PeerError {
    const isConnecting = (cause as { code?: unknown }).code === 'UND_ERR_CONNECT_TIMEOUT'
    const timeoutMs = isConnecting ? this.#connectTimeoutMs : answerMs
    return peerFailure({ peer: this.name, address: this.url.origin, timeoutMs }, cause)
  }

  close(): Promise<void> {
    return this.pool.destroy()
  }
}
