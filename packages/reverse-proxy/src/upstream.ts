import { createSecureContext, type SecureContext } from 'node:tls'
import { type PeerError, peerFailure } from '@hallpass/service-kit'
import { type buildConnector, type Dispatcher, Pool } from 'undici'

export interface UpstreamOptions {
  /** The name that errors use, e.g. `api`. */
  readonly name: string
  /** Scheme, host and port alone: whatever path comes in goes out. */
  readonly url: string
  readonly tls?: {
    /** The only authorities that are trusted, as PEM. */
    readonly ca: string
    readonly cert?: string
    readonly key?: string
    readonly servername?: string
  }
  /** Makes the connections in place of `tls`, e.g. with certificates that rotate; it verifies the upstream. */
  readonly connect?: buildConnector.connector
  /** Stands between the requests and the pool, e.g. to let connections go in time. */
  readonly interceptor?: Dispatcher.DispatcherComposeInterceptor
  readonly maxConnections?: number
  readonly connectTimeoutMs?: number
  /** From the request to the first byte of the answer. */
  readonly answerTimeoutMs?: number
  /** Between two chunks of the answer. */
  readonly idleTimeoutMs?: number
}

/** A busy hop holds one connection per request in flight; beyond this they queue. */
const MAX_CONNECTIONS = 1_024
/** A machine that is there accepts at once; a request that waits for one that is gone should go elsewhere soon. */
const CONNECT_TIMEOUT_MS = 3_000
const ANSWER_TIMEOUT_MS = 30_000
/** Event streams send a comment every 15 to 30 s. */
const IDLE_TIMEOUT_MS = 300_000
/** Shorter than the keep-alive of our servers (10 s), so that they never close a connection while we write to it. */
const KEEP_ALIVE_MS = 4_000

/** One server that requests are sent to, over connections that are kept. TLS is verified, always. */
export class Upstream {
  readonly name: string
  /** As access logs show it. */
  readonly address: string
  readonly url: URL
  /** From the request to the first byte of the answer. */
  readonly answerTimeoutMs: number
  /** The pool itself and not axios: every request passes here (docs/decisions/003-axios-over-a-pool.md). */
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
      // A stopped or restarted upstream is tried with each new request, not held back by the failures before.
      connect: options.connect ?? {
        timeout: this.#connectTimeoutMs,
        ...(this.secureContext ? { secureContext: this.secureContext } : {}),
        ...(this.servername ? { servername: this.servername } : {}),
      },
    })
    this.pool = options.interceptor ? pool.compose(options.interceptor) : pool
  }

  /** What it means that this upstream has failed, in an error that names it and the time that it had. */
  failure(cause: unknown, answerMs = this.answerTimeoutMs): PeerError {
    const isConnecting = (cause as { code?: unknown }).code === 'UND_ERR_CONNECT_TIMEOUT'
    const timeoutMs = isConnecting ? this.#connectTimeoutMs : answerMs
    return peerFailure({ peer: this.name, address: this.url.origin, timeoutMs }, cause)
  }

  close(): Promise<void> {
    return this.pool.destroy()
  }
}
