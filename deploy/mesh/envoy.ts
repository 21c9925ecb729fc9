import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const READY_DEADLINE_MS = 15_000

export interface EnvoyOptions {
  readonly program: string
  /** PEM files: Envoy's server certificate and key, and the CA that it trusts for client certificates. */
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string }
  readonly upstreamPort: number
  /** The filters of each listener, by listener name. */
  readonly listeners: Readonly<Record<string, readonly object[]>>
}

export interface Envoy {
  /** The port of each listener, by listener name. */
  readonly ports: Readonly<Record<string, number>>
  stop(): Promise<void>
}

/** Starts a real Envoy with a TLS listener for each set of filters, on free ports. */
export async function startEnvoy({ program, tls, upstreamPort, listeners }: EnvoyOptions): Promise<Envoy> {
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-envoy-'))
  const config = join(folder, 'envoy.json')
  const adminFile = join(folder, 'admin')
  await writeFile(
    config,
    JSON.stringify({
      admin: { address: loopback(0) },
      static_resources: {
        listeners: Object.entries(listeners).map(([name, filters]) => listener(name, filters, tls)),
        clusters: [cluster(upstreamPort)],
      },
    }),
  )
  let log = ''
  const child = spawn(
    program,
    [
      '-c',
      config,
      '--admin-address-path',
      adminFile,
      '--concurrency',
      '1',
      '--disable-hot-restart',
      '-l',
      'warn',
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk).slice(-4_000)
  })
  const stop = async () => {
    await end(child)
    await rm(folder, { recursive: true, force: true })
  }
  const deadline = Date.now() + READY_DEADLINE_MS
  for (;;) {
    const ports = await listenerPorts(adminFile).catch(() => undefined)
    if (ports && Object.keys(listeners).every((name) => ports[name])) return { ports, stop }
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop()
      throw new Error(`envoy did not start:\n${log}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function listenerPorts(adminFile: string): Promise<Record<string, number>> {
  const admin = (await readFile(adminFile, 'utf8')).trim()
  const ready = await fetch(`http://${admin}/ready`)
  if (!ready.ok) throw new Error('not ready')
  const { listener_statuses: found } = (await (
    await fetch(`http://${admin}/listeners?format=json`)
  ).json()) as {
    listener_statuses: { name: string; local_address: { socket_address: { port_value: number } } }[]
  }
  return Object.fromEntries(
    found.map(({ name, local_address }) => [name, local_address.socket_address.port_value]),
  )
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGTERM')
  await closed
}

const loopback = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })

const listener = (name: string, filters: readonly object[], tls: EnvoyOptions['tls']) => ({
  name,
  address: loopback(0),
  filter_chains: [
    {
      transport_socket: {
        name: 'envoy.transport_sockets.tls',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
          // Like PERMISSIVE: a caller without a certificate still reaches the policies, which must reject it.
          require_client_certificate: false,
          common_tls_context: {
            tls_certificates: [
              { certificate_chain: { filename: tls.certFile }, private_key: { filename: tls.keyFile } },
            ],
            validation_context: { trusted_ca: { filename: tls.caFile } },
          },
        },
      },
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            stat_prefix: name,
            route_config: {
              virtual_hosts: [
                {
                  name: 'all',
                  domains: ['*'],
                  routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream' } }],
                },
              ],
            },
            http_filters: [
              ...filters,
              {
                name: 'envoy.filters.http.router',
                typed_config: {
                  '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
                },
              },
            ],
          },
        },
      ],
    },
  ],
})

const cluster = (port: number) => ({
  name: 'upstream',
  type: 'STATIC',
  load_assignment: {
    cluster_name: 'upstream',
    endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(port) } }] }],
  },
})
