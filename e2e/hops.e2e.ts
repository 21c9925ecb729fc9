import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { load } from '../benchmarks/load.ts'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { Collector, type Span } from './collector.ts'

const root = dirname(import.meta.dirname)

/** Starts a service and returns the files that it loaded before it was ready. */
async function loadedFiles(env: Readonly<Record<string, string>>): Promise<string[]> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-modules-'))
  const seen = join(stateFolder, 'seen.json')
  const hook = join(stateFolder, 'hook.cjs')
  await writeFile(
    hook,
    `process.on('exit', () =>
      require('node:fs').writeFileSync('${seen}', JSON.stringify(Object.keys(require('node:module')._cache))))`,
  )
  const child = spawn(
    process.execPath,
    ['--require', hook, join(root, 'scripts/run-bundle.cjs'), join(root, '.hallpass/bundles/sse-server.cjs')],
    {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { PATH: process.env.PATH, STATE_FOLDER: stateFolder, TCP_PORT: '0', HTTP_PORT: '0', ...env },
    },
  )
  const exited = once(child, 'exit')
  // A service sends a message to its parent process when it is ready.
  await once(child, 'message')
  child.kill('SIGTERM')
  await exited
  const files = JSON.parse(await readFile(seen, 'utf8')) as string[]
  await rm(stateFolder, { recursive: true })
  return files
}

describe('services that report hops', () => {
  const collector = new Collector()
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: ['jwt-factory', 'service-a', 'service-b', 'sse-server'],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start() },
    })
  }, 60_000)
  afterAll(async () => {
    await suite?.stop()
    collector.stop()
  })

  it('send spans to an OpenTelemetry collector: one trace from the caller’s span to the verification', async () => {
    const traceId = 'd'.repeat(32)
    const headers = { traceparent: `00-${traceId}-${'e'.repeat(16)}-01` }
    expect((await fetch(`${suite.url('service-a')}/scenario1`, { headers })).status).toBe(200)
    const caller = 'e'.repeat(16)
    const inTrace = (spans: readonly Span[]) => spans.filter((span) => span.traceId === traceId)
    // Services send their spans at different times; the trace is complete when every span has its parent.
    await collector.until((all) => {
      const spans = inTrace(all)
      const ids = new Set([caller, ...spans.map(({ spanId }) => spanId)])
      const names = spans.map(({ service, name }) => `${service} ${name}`)
      return (
        names.includes('service-a GET /scenario1') &&
        names.includes('jwt-factory verify token: accepted') &&
        spans.every(({ parentSpanId }) => ids.has(parentSpanId ?? ''))
      )
    })
    const trace = inTrace(collector.spans)
    expect(trace.find(({ name }) => name === 'GET /scenario1')?.parentSpanId).toBe(caller)
    expect(new Set(trace.map(({ service }) => service))).toEqual(
      new Set(['service-a', 'service-b', 'jwt-factory']),
    )
    expect(JSON.stringify(collector.spans)).not.toContain('eyJ')
  })

  it('load the OpenTelemetry SDK only if a collector is configured', async () => {
    const sdkIn = (files: readonly string[]) =>
      files.filter((file) => /@opentelemetry\/(sdk|exporter|resources)/.test(file)).length
    const [without, withCollector] = await Promise.all([
      loadedFiles({}),
      loadedFiles({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }),
    ])
    expect(without.length).toBeGreaterThan(0)
    expect(sdkIn(without)).toBe(0)
    expect(sdkIn(withCollector)).toBeGreaterThan(0)
  })

  it('fail no request while the SSE server is unavailable or recovers', async () => {
    const headers = { traceparent: `00-${'f'.repeat(32)}-${'e'.repeat(16)}-01` }
    const asked = load({
      url: `${suite.url('service-a')}/scenario1`,
      connections: 4,
      milliseconds: 1_500,
      headers,
      expect: '"valid":true',
    })
    await suite.launcher.restart('sse-server', () => new Promise((resolve) => setTimeout(resolve, 300)))
    const { answers, failures } = await asked
    expect(failures).toBe(0)
    expect(answers).toBeGreaterThan(4)
  })
})
