import { readFile } from 'node:fs/promises'
import https, { type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { Logger, Service } from '@hallpass/service-kit'
import type { Agent } from './agent.ts'
import type { Config } from './config.ts'
import type { Entry } from './entries.ts'

/** A foreign agent asks every five minutes and reads one answer: whoever needs longer is not one. */
const HEADERS_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 1_000

/**
 * Where foreign trust domains fetch our bundle (SPIFFE Federation §5): over TLS with an ordinary certificate
 * (`https_web`), or with an X.509-SVID of our own trust domain (`https_spiffe`), which rotates under it.
 */
export function bundleEndpoint(agent: Agent, config: Config, log: Logger): Service[] {
  const { bundleEndpointProfile: profile, bundleEndpointPort: port, host } = config
  if (profile === 'off') return []
  const stop = new AbortController()
  let server: Server | undefined

  const context = () => (profile === 'https_web' ? webCertificate(config) : ownSvid(agent))

  /** The SVID changes when half of its life is over and when another authority signs. */
  async function followRotation(running: Server) {
    while (!stop.signal.aborted) {
      await agent.changes.next(stop.signal)
      try {
        running.setSecureContext(await context())
      } catch (error) {
        log.error({ err: error }, 'the bundle endpoint cannot renew its certificate')
      }
    }
  }

  return [
    {
      name: 'spiffe-bundle-endpoint',
      async start() {
        server = https.createServer(
          { ca: [], ...(await context()), minVersion: 'TLSv1.2', headersTimeout: HEADERS_TIMEOUT_MS },
          (request, response) => {
            if (request.method !== 'GET') return void response.writeHead(405, { allow: 'GET' }).end()
            if (request.url !== '/') return void response.writeHead(404).end()
            response.writeHead(200, { 'content-type': 'application/json' }).end(agent.bundles.own.toJson())
          },
        )
        server.maxConnections = MAX_CONNECTIONS
        const listening = server
        await new Promise<void>((resolve, reject) => {
          listening.once('error', reject).listen(port, host, resolve)
        })
        void followRotation(listening)
        return { bundle: `https://localhost:${(listening.address() as AddressInfo).port}/` }
      },
      async stop() {
        stop.abort()
        server?.closeAllConnections()
        await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
      },
    },
  ]
}

/** Who serves the bundle under `https_spiffe`. */
export const agentId = (agent: Pick<Agent, 'trustDomain'>) => `${agent.trustDomain.id}/spiffe-agent`

async function ownSvid(agent: Agent): Promise<SecureContextOptions> {
  const entry: Entry = {
    // No entry of the file can have this id.
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

const webCertificate = async ({ certFile, keyFile }: Config): Promise<SecureContextOptions> => ({
  cert: await readFile(certFile),
  key: await readFile(keyFile),
})

const pem = (label: string, der: Buffer) =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`
