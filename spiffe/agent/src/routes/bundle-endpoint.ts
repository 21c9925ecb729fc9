import type { Server } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { readTlsFiles } from '@hallpass/certificates'
import { type HttpService, httpService, type Logger } from '@hallpass/service-kit'
import type { Agent } from '../agent.ts'
import type { Config } from '../config.ts'
import type { Entry } from '../entries/index.ts'

/** Enough for other agents with one connection each. */
const MAX_CONNECTIONS = 1_000

/**
 * Makes the endpoint from which other trust domains fetch our bundle (SPIFFE Federation §5): over TLS with an ordinary
 * certificate (`https_web`), or with a rotating X.509-SVID of our own trust domain (`https_spiffe`).
 */
export function bundleEndpoint(agent: Agent, config: Config, log: Logger): HttpService[] {
  const { bundleEndpointProfile: profile, bundleEndpointPort: port, host } = config
  if (profile === 'off') return []
  const stop = new AbortController()
  const context = () => (profile === 'https_web' ? readTlsFiles(config) : ownSvid(agent))

  /** Updates the TLS context when the SVID changes: at half of its lifetime, and when another authority signs. */
  async function followRotation(server: Server) {
    while (!stop.signal.aborted) {
      await agent.changes.next(stop.signal)
      try {
        server.setSecureContext(await context())
      } catch (error) {
        log.error({ err: error }, 'the bundle endpoint cannot renew its certificate')
      }
    }
  }

  return [
    httpService({
      name: 'spiffe-bundle-endpoint',
      log,
      config,
      listeners: [
        {
          name: 'bundle',
          host,
          port,
          tls: context,
          prepare: (server) => void followRotation(server),
          handle: (request, response) => {
            if (request.method !== 'GET') return void response.writeHead(405, { allow: 'GET' }).end()
            if (request.url !== '/') return void response.writeHead(404).end()
            response.writeHead(200, { 'content-type': 'application/json' }).end(agent.bundles.own.toJson())
          },
        },
      ],
      routes: () => {},
      maxConnections: MAX_CONNECTIONS,
      onStop: () => stop.abort(),
    }),
  ]
}

/** Returns the SPIFFE ID of the bundle endpoint with `https_spiffe`. */
export const agentId = (agent: Pick<Agent, 'trustDomain'>) => `${agent.trustDomain.id}/spiffe-agent`

async function ownSvid(agent: Agent): Promise<SecureContextOptions> {
  const entry: Entry = {
    // Not a valid ID in the entries file, so it cannot collide.
    id: '(bundle endpoint)',
    spiffeId: agentId(agent),
    selectors: [],
    dnsNames: [],
    x509TtlSeconds: undefined,
    jwtTtlSeconds: undefined,
    hint: '',
    federatesWith: [],
    socketOwner: undefined,
    revoked: false,
  }
  const { certificate, privateKey } = await agent.issuer.x509Svid(entry)
  return { cert: pem('CERTIFICATE', certificate), key: pem('PRIVATE KEY', privateKey) }
}

const pem = (label: string, der: Buffer) =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`
