import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { freePorts } from '@hallpass/free-ports'
import { listening, start, stop } from './processes.ts'
import type { Command, Report } from './sse-herd/client.ts'
import type { PlainEnvironment } from './sse-herd/plain-http2.ts'
import { startSuiteGateway } from './suite-gateway.ts'
import { formatTable } from './table.ts'

const STREAMS = 10_000
const STREAMS_PER_CONNECTION = 100
/** Enough to open all streams on a busy machine before they expire. */
const LIFETIME_SECONDS = 45
const ROUNDS = 2
/** Lifetime, and as long again for connecting and for ends. */
const PATIENCE_MS = 2 * LIFETIME_SECONDS * 1_000

interface Server {
  readonly origin: string
  readonly tokens: readonly string[]
  readonly caFile: string
  readonly stop: () => Promise<void>
}

/**
 * Measures how late 10,000 streams end that expire in the same second, and how long other requests take meanwhile: this
 * gateway, compared with plain `node:http2` that ends each stream by a timer of its own. Clients run in another process.
 */
export async function run(root: string): Promise<void> {
  console.log(
    `${STREAMS.toLocaleString('en')} streams with one expiry over HTTP/2, ${STREAMS_PER_CONNECTION} per connection, ${ROUNDS} rounds\n`,
  )
  const rows: string[][] = []
  for (let round = 1; round <= ROUNDS; round += 1)
    for (const [name, begin] of Object.entries({ 'sse-gateway': startGateway, 'node:http2': startPlain })) {
      const expiresAt = (Math.floor(Date.now() / 1_000) + LIFETIME_SECONDS) * 1_000
      const server = await begin(root, expiresAt)
      try {
        rows.push([`${name}, round ${round}`, ...figures(await measure(root, server, expiresAt))])
      } finally {
        await server.stop()
      }
    }
  console.log(
    formatTable(['', 'p50 ms late', 'p99', 'max', 'ended', 'others p50 ms', 'p99', 'requests'], rows),
  )
}

function figures({ lateness, others }: Report): string[] {
  const at = (values: readonly number[], share: number) => {
    const sorted = values.toSorted((a, b) => a - b)
    return (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(0)
  }
  return [
    ...[0.5, 0.99, 1].map((share) => at(lateness, share)),
    `${lateness.length}`,
    ...[0.5, 0.99].map((share) => at(others, share)),
    `${others.length}`,
  ]
}

async function measure(root: string, { origin, tokens, caFile }: Server, expiresAt: number): Promise<Report> {
  const client = fork(join(root, 'benchmarks/sse-herd/client.ts'), {
    cwd: root,
    execArgv: ['--import', 'tsx'],
    serialization: 'json',
  })
  try {
    client.send({
      origin,
      tokens,
      caFile,
      streams: STREAMS,
      streamsPerConnection: STREAMS_PER_CONNECTION,
      expiresAt,
    } satisfies Command)
    const [report] = (await once(client, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) })) as [
      Report | { failed: string },
    ]
    if ('failed' in report) throw new Error(report.failed)
    return report
  } finally {
    if (client.connected) client.disconnect()
    if (client.exitCode === null) await once(client, 'exit')
  }
}

/** Starts the gateway with the log of production. */
const startGateway = (root: string, expiresAt: number): Promise<Server> =>
  startSuiteGateway(root, {
    tokens: STREAMS / STREAMS_PER_CONNECTION,
    lifetimeSeconds: LIFETIME_SECONDS,
    expiresAt,
    env: { LOG_LEVEL: 'info' },
  })

async function startPlain(root: string, expiresAt: number): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-bench-'))
  const [port] = (await freePorts(1)) as [number]
  const { caFile, certFile, keyFile } = await ensureDevelopmentCertificates(folder)
  const env: PlainEnvironment = {
    PORT: `${port}`,
    CERT_FILE: certFile,
    KEY_FILE: keyFile,
    EXPIRES_AT: `${expiresAt}`,
  }
  const server = start(
    process.execPath,
    ['--import', 'tsx', join(root, 'benchmarks/sse-herd/plain-http2.ts')],
    { PATH: process.env.PATH ?? '', ...env },
  )
  await listening(port, server)
  return { origin: `https://localhost:${port}`, tokens: [], caFile, stop: () => stop(folder, server) }
}
