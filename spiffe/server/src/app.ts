import { type Clock, type HttpService, httpService, type Logger, systemClock } from '@hallpass/service-kit'
import { JwtSource, matchAny, matchOneOf, tlsServer, X509Source } from '@hallpass/spiffe'
import type { Config } from './config.ts'
import { authenticateClient } from './routes/authenticate-client.ts'
import { index } from './routes/index.ts'

export { loadConfig } from './config.ts'

/** Creates the server of the example: TLS with a rotating X.509-SVID; callers authenticate with a JWT-SVID. */
export async function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
): Promise<HttpService> {
  const { host, port, healthPort, endpoint: address, audiences, allowedIds } = config
  const leewaySeconds = config.clockToleranceSeconds
  const x509Source = new X509Source({ address, clock })
  const jwtSource = new JwtSource({ address, clock })
  const security = tlsServer(x509Source, {
    clock,
    onRefused: (err) => log.warn({ err }, 'TLS handshake failed'),
  })
  const authorize = allowedIds.includes('*') ? matchAny() : matchOneOf(...allowedIds)

  await x509Source.ready().catch(failed('unable to create X509Source'))
  await jwtSource.ready().catch(failed('unable to create JWTSource'))

  return httpService({
    name: 'spiffe-server',
    log,
    config,
    listeners: [
      {
        name: 'https',
        host,
        port,
        tls: () => security.options,
        prepare: security.guard,
        handle: authenticateClient(
          { jwtSource, audiences, authorize, leewaySeconds, log, clock },
          index(log),
        ),
      },
      { name: 'http', host, port: healthPort },
    ],
    // The TLS listener answers every path the same; the other listener has only health and metrics.
    routes: () => {},
    checks: { 'X.509-SVID': () => void x509Source.getX509Svid() },
    onStop: () => {
      x509Source.close()
      jwtSource.close()
    },
  })
}

const failed = (what: string) => (cause: Error) => {
  throw new Error(`${what}: ${cause.message}`, { cause })
}
