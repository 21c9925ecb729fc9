import { createPeerClient } from '@hallpass/service-kit/axios'
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
  /** For the agent to answer the first time, and for each call. */
  readonly timeoutMs: number
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
  const { endpoint: address, proxyUrl, proxyId, timeoutMs } = options
  const x509Source = await X509Source.open({ address, timeoutMs }).catch(
    failed('unable to create X509Source'),
  )
  const jwtSource = await JwtSource.open({ address, timeoutMs }).catch((error) => {
    x509Source.close()
    return failed('unable to create JWTSource')(error)
  })
  const connect = undiciConnector(tlsClient(x509Source, authorizeId(proxyId)))
  const http = createPeerClient({
    peer: 'spiffe-proxy',
    baseUrl: proxyUrl,
    timeoutMs,
    connect,
    interceptor: connect.retire,
  })
  return {
    async get(audience) {
      const svid = await jwtSource.fetchJwtSvid({ audience }).catch(failed('unable to fetch SVID'))
      const { status, data, headers } = await http.get('/', {
        headers: { authorization: `Bearer ${svid.marshal()}` },
        responseType: 'text',
        transformResponse: (text) => text,
      })
      return { status, body: data, via: headers.via as string | undefined, svid }
    },
    close() {
      x509Source.close()
      jwtSource.close()
    },
  }
}

const failed =
  (what: string) =>
  (cause: Error): never => {
    throw new Error(`${what}: ${cause.message}`, { cause })
  }
