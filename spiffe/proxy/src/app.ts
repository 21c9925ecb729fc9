import { Upstream } from '@hallpass/reverse-proxy'
import { type Clock, type HttpService, httpService, type Logger, systemClock } from '@hallpass/service-kit'
import { authorizeId, tlsClient, tlsServer, undiciConnector, X509Source } from '@hallpass/spiffe'
import type { Config } from './config.ts'
import { forwardToServer } from './routes/forward-to-server.ts'

export { loadConfig } from './config.ts'

/** More requests than this wait for a connection, so that memory use stays limited. */
const MAX_SERVER_CONNECTIONS = 64

/**
 * Creates the proxy of the example. It terminates TLS and opens a new TLS connection, so the server cannot see the client's
 * certificate. The client's identity is in its token, which the proxy forwards without validating it.
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
    // The TLS listener forwards every path; the other listener has only health and metrics.
    routes: () => {},
    checks: { 'X.509-SVID': () => void x509Source.getX509Svid() },
    onStop: async () => {
      await upstream.close()
      x509Source.close()
    },
  })
}
