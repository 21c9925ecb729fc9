import { Upstream } from '@hallpass/reverse-proxy'
import { type Clock, type HttpService, httpService, type Logger, systemClock } from '@hallpass/service-kit'
import { authorizeId, tlsClient, tlsServer, undiciConnector, X509Source } from '@hallpass/spiffe'
import type { Config } from './config.ts'
import { forwardToServer } from './routes/forward-to-server.ts'

export { loadConfig } from './config.ts'

/** As many as a client pools; more requests than this wait for a connection, not for memory. */
const MAX_SERVER_CONNECTIONS = 64

/**
 * The proxy of the example: TLS ends here and begins anew, so that the server cannot see the client's certificate. Who
 * the client is travels in its token, which the proxy carries and does not judge.
 */
export async function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
): Promise<HttpService> {
  const { host, port, healthPort, endpoint: address, serverUrl, serverId } = config
  const x509Source = new X509Source({ address, clock })
  const security = tlsServer(x509Source, {
    clock,
    onRefused: (err) => log.warn({ err }, 'TLS handshake failed'),
  })
  const connect = undiciConnector(tlsClient(x509Source, authorizeId(serverId), { clock }), { clock })
  const upstream = new Upstream({
    name: 'spiffe-server',
    url: serverUrl,
    connect,
    interceptor: connect.retire,
    maxConnections: MAX_SERVER_CONNECTIONS,
  })

  await x509Source.ready().catch((cause: Error) => {
    throw new Error(`unable to create X509Source: ${cause.message}`, { cause })
  })

  return httpService({
    name: 'spiffe-proxy',
    log,
    config,
    listeners: [
      {
        name: 'https',
        host,
        port,
        tls: () => security.options,
        prepare: security.guard,
        handle: forwardToServer({ upstream, log }),
      },
      { name: 'http', host, port: healthPort },
    ],
    // Every path of the TLS listener is the server's; the other one has health and metrics alone.
    routes: () => {},
    checks: { 'X.509-SVID': () => void x509Source.getX509Svid() },
    onStop: async () => {
      await upstream.close()
      x509Source.close()
    },
  })
}
