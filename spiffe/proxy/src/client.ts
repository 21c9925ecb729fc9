import { lazyPeerClient } from '@hallpass/service-kit/peers'
import {
  authorizeId,
  JwtSource,
  type JwtSvid,
  tlsClient,
  undiciConnector,
  X509Source,
} from '@hallpass/spiffe'

export interface SpiffeProxyClientOptions {
  /** The address of the Workload API. */
  readonly endpoint: string
  readonly proxyUrl: string
  /** The expected SPIFFE ID of the proxy. */
  readonly proxyId: string
  /** The timeout for each call through the proxy. */
  readonly timeoutMs: number
  /** The timeout for each response of the agent. */
  readonly agentTimeoutMs: number
  /** Fails immediately if the agent is unreachable or issues no identity, instead of retrying until the timeout. */
  readonly failFast?: boolean
}

export interface SpiffeProxyAnswer {
  readonly status: number
  readonly body: string
  /** The proxies on the way, from the `Via` header (RFC 9110 §7.6.3). */
  readonly via: string | undefined
  /** The JWT-SVID that was sent. */
  readonly svid: JwtSvid
}

export interface SpiffeProxyClient {
  /** `GET /` with a JWT-SVID for this audience. @throws {PeerError} if the proxy is unreachable or has another ID. */
  get(audience: string): Promise<SpiffeProxyAnswer>
  close(): void
}

/**
 * Opens a client that calls through the proxy, with SVIDs and bundles from the agent.
 * @throws with the message of go-spiffe's example, `unable to create X509Source: …`, and the last cause.
 */
export async function openSpiffeProxyClient(options: SpiffeProxyClientOptions): Promise<SpiffeProxyClient> {
  const { endpoint: address, proxyUrl, proxyId, timeoutMs, agentTimeoutMs, failFast = false } = options
  const agent = { address, timeoutMs: agentTimeoutMs, failFast }
  // Concurrently, so that an agent that does not answer costs only one timeout.
  const [x509, jwt] = await Promise.allSettled([X509Source.open(agent), JwtSource.open(agent)])
  if (x509.status === 'rejected') {
    if (jwt.status === 'fulfilled') jwt.value.close()
    throw failure('unable to create X509Source', x509.reason)
  }
  if (jwt.status === 'rejected') {
    x509.value.close()
    throw failure('unable to create JWTSource', jwt.reason)
  }
  const x509Source = x509.value
  const jwtSource = jwt.value
  const connect = undiciConnector(tlsClient(x509Source, authorizeId(proxyId)), { timeoutMs })
  const client = lazyPeerClient({
    peer: 'spiffe-proxy',
    baseUrl: proxyUrl,
    timeoutMs,
    connect,
    interceptor: connect.retire,
  })
  return {
    async get(audience) {
      const svid = await jwtSource.fetchJwtSvid({ audience }).catch((cause: Error) => {
        throw failure('unable to fetch SVID', cause)
      })
      identityOf(x509Source)
      const http = await client()
      const { status, data, headers } = await http.get<string>('/', {
        headers: { authorization: `Bearer ${svid.marshal()}` },
        responseType: 'text',
      })
      return { status, body: data, via: headers.via as string | undefined, svid }
    },
    close() {
      x509Source.close()
      jwtSource.close()
    },
  }
}

const failure = (what: string, cause: Error) => new Error(`${what}: ${cause.message}`, { cause })

/** Checks our own SVID first; without it, the handshake would fail with an error that blames the proxy. */
function identityOf(source: X509Source) {
  try {
    return source.getX509Svid()
  } catch (cause) {
    throw failure('unable to use X509Source', cause as Error)
  }
}
