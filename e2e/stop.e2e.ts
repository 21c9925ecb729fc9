import { readFile } from 'node:fs/promises'
import http2 from 'node:http2'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type ClientLoops,
  keepAliveClients,
  type LoopOutcome,
  loopClients,
  wasRefused,
} from '@hallpass/service-kit/testing'
import { WorkloadApiClient } from '@hallpass/spiffe'
import { workloadAddress } from '@hallpass/spiffe-agent/client'
import { publishOverHttp, publishOverTcp } from '@hallpass/sse-server/client'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'

const root = dirname(import.meta.dirname)

let suite: TestSuite
let ca: string
beforeAll(async () => {
  suite = await startTestSuite(root)
  ca = await readFile(join(suite.stateFolder, 'certificates/ca.pem'), 'utf8')
  await fetch(`${suite.url('service-a')}/gen-keys`, { method: 'POST' })
}, 60_000)
afterAll(() => suite?.stop())

const over = (service: string, listener: string, path: string, headers: Record<string, string> = {}) =>
  keepAliveClients(suite.url(service, listener) + path, {
    headers,
    ...(suite.url(service, listener).startsWith('https:') ? { ca } : {}),
  })

/** Sends SIGTERM to a service under load and returns the outcome of its clients' requests. */
async function stopUnder(service: string, loops: readonly ClientLoops[]): Promise<LoopOutcome[]> {
  while (loops.some(({ outcome }) => outcome.answered < 32)) {
    const [failure] = loops.flatMap(({ outcome }) => outcome.failures)
    if (failure !== undefined)
      throw new Error(
        `before the stop: ${failure}\n${suite.lines
          .filter((line) => line.startsWith(service))
          .slice(-9)
          .join('\n')}`,
      )
    await pause(10)
  }
  const pid = suite.launcher.pid(service) as number
  process.kill(pid, 'SIGTERM')
  const began = performance.now()
  while (isAlive(pid)) await pause(10)
  // The service's own deadline, plus a margin for a busy machine.
  expect(performance.now() - began).toBeLessThan(6_000)
  return Promise.all(loops.map((loop) => loop.stop()))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const clean = (outcomes: readonly LoopOutcome[]) =>
  outcomes.map(({ failures, askedToLeave }) => ({ failures, wereAskedToLeave: askedToLeave > 0 }))

describe('SIGTERM fails no request of clients that keep their connections', () => {
  // Callers stop before the services that they call.
  it.each<[string, ...[listener: string, path: string, headers?: Record<string, string>][]]>([
    ['token-cache-load-balancer', ['PORT', '/', { 'remote-user': 'user1' }]],
    ['token-cache-proxy1', ['PORT', '/', { 'remote-user': 'user1' }], ['PORT', '/status']],
    ['token-cache-proxy2', ['PORT', '/api']],
    ['token-cache-auth', ['PORT', '/auth']],
    ['token-cache-api', ['PORT', '/']],
    ['web-ui', ['PORT', '/decoder'], ['PORT', '/profile']],
    ['second-backend-api', ['PORT', '/data2']],
    ['backend-api', ['PORT', '/data']],
    ['identity-provider', ['PORT', '/.well-known/openid-configuration']],
    ['service-a', ['PORT', '/scenario1'], ['PORT', '/scenario4']],
    ['spiffe-proxy', ['HEALTH_PORT', '/healthz']],
    ['spiffe-server', ['HEALTH_PORT', '/healthz']],
    ['service-c', ['PORT', '/scenario2-server'], ['HTTPS_PORT', '/scenario4-server']],
    ['service-b', ['PORT', '/scenario1-server'], ['HTTPS_PORT', '/scenario3-server']],
    ['jwt-factory', ['PORT', '/.well-known/jwks.json']],
  ])(
    '%s',
    async (service, ...targets) => {
      const loops = targets.map((target) => over(service, ...target))
      const expected = targets.map(() => ({ failures: [], wereAskedToLeave: true }))
      expect(clean(await stopUnder(service, loops))).toEqual(expected)
    },
    30_000,
  )

  it('sse-gateway, over HTTP/1.1 and HTTP/2', async () => {
    const loops = [
      over('sse-gateway', 'PORT', '/healthz'),
      loopHttp2(suite.url('sse-gateway', 'SECOND_PORT')),
    ]
    const expected = loops.map(() => ({ failures: [], wereAskedToLeave: true }))
    expect(clean(await stopUnder('sse-gateway', loops))).toEqual(expected)
  }, 30_000)

  it('sse-server: streams every accepted event', async () => {
    const streamed = new Set<string>()
    const stream = await fetch(`${suite.url('sse-server', 'HTTP_PORT')}/events`)
    const reading = (async () => {
      let text = ''
      for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>)
        text += Buffer.from(chunk).toString()
      for (const [, data] of text.matchAll(/^data: ?(.*)$/gm)) streamed.add(data as string)
    })()
    const taken: string[] = []
    const loops = [
      loopPublisher('tcp', taken, (object) =>
        publishOverTcp({ url: suite.url('sse-server', 'TCP_PORT'), objects: object }),
      ),
      loopPublisher('http', taken, (object) =>
        publishOverHttp({ baseUrl: suite.url('sse-server', 'HTTP_PORT'), objects: object }),
      ),
    ]
    await stopUnder('sse-server', loops)
    await reading
    expect(taken.length).toBeGreaterThan(64)
    expect(taken.filter((data) => !streamed.has(data))).toEqual([])
  }, 30_000)

  it('spiffe-agent, over gRPC and HTTP', async () => {
    const loops = [loopWorkload(), over('spiffe-agent', 'PORT', '/keys')]
    const [workload, http] = await stopUnder('spiffe-agent', loops)
    expect([workload?.failures, http?.failures]).toEqual([[], []])
  }, 30_000)
})

function loopHttp2(url: string): ClientLoops {
  const sessions = new Map<number, http2.ClientHttp2Session>()
  const served = new WeakSet<http2.ClientHttp2Session>()
  return loopClients(async (outcome, client) => {
    /** Records a failed request and ends the client. */
    const failed = (error: Error, isNew: boolean) => {
      if (wasRefused(error, outcome, isNew)) outcome.refused += 1
      else outcome.failures.push(error.message)
      return false
    }
    let session = sessions.get(client)
    if (!session || session.closed || session.destroyed) {
      session = http2.connect(url, { ca })
      session.on('goaway', () => {
        outcome.askedToLeave += 1
      })
      sessions.set(client, session)
      const error = await new Promise<Error | undefined>((resolve) =>
        session?.once('connect', () => resolve(undefined)).once('error', resolve),
      )
      if (error) return failed(error, true)
      session.on('error', () => {})
    }
    const current = session
    const stream = current.request({ ':path': '/healthz' })
    return new Promise<boolean>((resolve) => {
      let status: number | undefined
      let error: Error | undefined
      stream.on('response', (headers) => {
        status = headers[':status']
      })
      stream.on('error', (cause) => {
        error = cause
      })
      stream.on('close', () => {
        if (status === 200) {
          outcome.answered += 1
          served.add(current)
          resolve(true)
        } else if (stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM)
          // Not processed, so to be sent again on another connection (RFC 9113 §8.7).
          resolve(true)
        else resolve(failed(error ?? new Error(`closed with status ${status}`), !served.has(current)))
      })
      stream.resume().end()
    })
  }, 16)
}

function loopPublisher(
  kind: string,
  taken: string[],
  publish: (object: string) => Promise<unknown>,
): ClientLoops {
  let count = 0
  return loopClients(async (outcome) => {
    const data = `${kind} ${++count}`
    try {
      await publish(JSON.stringify({ data }))
      taken.push(data)
      outcome.answered += 1
      return true
    } catch {
      // The publisher gets an error and knows that it must publish again.
      return false
    }
  }, 4)
}

function loopWorkload(): ClientLoops {
  const clients = new Map<number, WorkloadApiClient>()
  return loopClients(async (outcome, index) => {
    const client =
      clients.get(index) ?? new WorkloadApiClient({ address: workloadAddress(suite.stateFolder, 'client') })
    clients.set(index, client)
    try {
      await client.fetchJwtSvid({ audience: 'spiffe://example.org/server' })
      outcome.answered += 1
      return true
    } catch (error) {
      const { message } = error as Error
      if (/ENOENT|ECONNREFUSED/.test(message)) outcome.refused += 1
      else outcome.failures.push(message)
      client.close()
      return false
    }
  }, 4)
}
