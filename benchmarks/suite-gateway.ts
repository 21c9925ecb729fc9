import type { ChildProcess } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { freePorts } from '@hallpass/free-ports'
import { ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { signToken } from '@hallpass/tokens'
import { listening, start, stop } from './processes.ts'

export interface SuiteGateway {
  readonly origin: string
  /** The port that takes events, a JSON object per line. */
  readonly tcpPort: number
  /** Each of another subject. */
  readonly tokens: readonly string[]
  readonly caFile: string
  readonly children: readonly ChildProcess[]
  readonly stop: () => Promise<void>
}

export interface SuiteGatewayOptions {
  readonly tokens: number
  readonly lifetimeSeconds: number
  /** When the tokens expire, in milliseconds since the epoch; absent: a lifetime from now. */
  readonly expiresAt?: number
  /** Variables of both processes. */
  readonly env: Readonly<Record<string, string>>
}

/** Starts the bundles of the gateway and of the SSE server, its upstream, with keys and certificates of their own. */
export async function startSuiteGateway(root: string, options: SuiteGatewayOptions): Promise<SuiteGateway> {
  const { lifetimeSeconds, expiresAt = Date.now() + lifetimeSeconds * 1_000 } = options
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-bench-'))
  const [httpPort, tcpPort, port, secondPort] = (await freePorts(4)) as [number, number, number, number]
  const { caFile } = await ensureDevelopmentCertificates(folder)
  const { rs256 } = await ensureExampleKeys(join(folder, 'sse'))
  const claims = { iss: 'https://auth.example.com', aud: 'https://api.example.com', scope: 'proxy:stream' }
  const clock = () => expiresAt - lifetimeSeconds * 1_000
  const tokens = await Promise.all(
    Array.from({ length: options.tokens }, (_, index) =>
      signToken({ ...claims, sub: `bench-${index}` }, rs256, { lifetimeSeconds, clock }),
    ),
  )
  const shared = { STATE_FOLDER: folder, PATH: process.env.PATH ?? '', ...options.env }
  const node = (service: string, env: Record<string, string>) =>
    start(process.execPath, [join(root, '.hallpass/bundles', `${service}.cjs`)], { ...shared, ...env })
  const server = node('sse-server', { HTTP_PORT: `${httpPort}`, TCP_PORT: `${tcpPort}` })
  const gateway = node('sse-gateway', {
    PORT: `${port}`,
    SECOND_PORT: `${secondPort}`,
    UPSTREAM_URL: `http://localhost:${httpPort}/events`,
    ASSETS_FOLDERS: join(root, 'sse-gateway/public'),
  })
  await Promise.all([listening(httpPort, server), listening(port, gateway)])
  return {
    origin: `https://localhost:${port}`,
    tcpPort,
    tokens,
    caFile,
    children: [server, gateway],
    stop: () => stop(folder, gateway, server),
  }
}
