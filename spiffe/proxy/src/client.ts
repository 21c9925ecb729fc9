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
  /** Where the Workload API is. */
  readonly endpoint: string
  readonly proxyUrl: string
  /** Who the proxy must prove to be. */
  readonly proxyId: string
  /** For each call through the proxy. */
  readonly timeoutMs: number
  /** For each answer of the agent. */
  readonly agentTimeoutMs: number
  /** Gives up when the agent is not there or issues no identity, in place of trying until its time is over. */
  readonly failFast?: boolean
}

export interface SpiffeProxyAnswer {
  readonly status: number
  readonly body: string
  /** The proxies on the way, as they name themselves (RFC 9110 §7.6.3). */
  readonly via: string | undefined
  /** What was shown. */
  readonly svid: JwtSvid
}

export interface SpiffeProxyClient {
  /** `GET /` with a JWT-SVID for this audience. @throws {PeerError} when the proxy cannot be reached or is not who it must be. */
  get(audience: string): Promise<SpiffeProxyAnswer>
  close(): void
}

/**
 * Calls through the proxy as a workload: the agent says who we are and whom to trust.
 * @throws with the words of the original, `unable to create X509Source: …`, and the last cause.
 */
export async function openSpiffeProxyClient(options: SpiffeProxyClientOptions): Promise<SpiffeProxyClient> {
  const { endpoint: address, proxyUrl, proxyId, timeoutMs, agentTimeoutMs, failFast = false } = options
  const agent = { address, timeoutMs: agentTimeoutMs, failFast }
  // At the same time, so that an agent that does not answer costs its time once.
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
  const connect = undiciConnector(tlsClient(x509Source, authorizeId(proxyId)))
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

/** Says that it is our own identity that is missing, before a handshake fails over it and the proxy is blamed. */
function identityOf(source: X509Source) {
  try {
    return source.getX509Svid()
  } catch (cause) {
    throw failure('unable to use X509Source', cause as Error)
  }
}
