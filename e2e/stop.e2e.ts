import { readFile } from 'node:fs/promises'
import http2 from 'node:http2'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type LoopOutcome, loopClients } from '@hallpass/service-kit/testing'
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

type Loop = Pick<ReturnType<typeof loopClients>, 'outcome' | 'done' | 'stop'>

const over = (service: string, listener: string, path: string, headers: Record<string, string> = {}) =>
  loopClients(suite.url(service, listener) + path, {
    headers,
    ...(suite.url(service, listener).startsWith('https:') ? { ca } : {}),
  })

/** Sends SIGTERM to a service whose clients are busy, and says what became of their requests. */
async function stopUnder(service: string, loops: readonly Loop[]): Promise<LoopOutcome[]> {
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
  // Its own deadline, after which it would be killed, and what a busy machine takes to see it.
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
  // Those that depend on others stop before them.
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

  it('sse-server: what it has taken is streamed', async () => {
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
        publishOverHttp({ baseUrl: suite.url('sse-server', 'HTTP_PORT'), object }),
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

const emptyOutcome = (): LoopOutcome => ({ answered: 0, askedToLeave: 0, refused: 0, failures: [] })

/** One step after the other of each client, until one says that it has ended, or the test does. */
function loopOf(step: (outcome: LoopOutcome, client: number) => Promise<boolean>, clients: number): Loop {
  const outcome = emptyOutcome()
  let stopped = false
  const one = async (_: unknown, client: number) => {
    while (!stopped && (await step(outcome, client)));
  }
  const done = Promise.all(Array.from({ length: clients }, one)).then(() => outcome)
  return {
    outcome,
    done,
    stop: () => {
      stopped = true
      return done
    },
  }
}

function loopHttp2(url: string): Loop {
  const sessions = new Map<number, http2.ClientHttp2Session>()
  const served = new WeakSet<http2.ClientHttp2Session>()
  return loopOf(async (outcome, client) => {
    let session = sessions.get(client)
    if (!session || session.closed || session.destroyed) {
      session = http2.connect(url, { ca })
      session.on('goaway', () => {
        outcome.askedToLeave += 1
      })
      sessions.set(client, session)
      const refused = await new Promise<NodeJS.ErrnoException | undefined>((resolve) =>
        session?.once('connect', () => resolve(undefined)).once('error', resolve),
      )
      if (refused) {
        if (refused.code === 'ECONNREFUSED') outcome.refused += 1
        else outcome.failures.push(refused.message)
        return false
      }
      session.on('error', () => {})
    }
    const current = session
    const stream = current.request({ ':path': '/healthz' })
    return new Promise<boolean>((resolve) => {
      let status: number | undefined
      stream.on('response', (headers) => {
        status = headers[':status'] as number
      })
      // Not processed, so to be sent again on another connection (RFC 9113 §8.7).
      const unseen = () => stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM
      // TLS 1.3 lets a client send before the server has seen the end of its handshake: a connection that is reset before its
      // first answer was never accepted, as one that is refused.
      const isNew = () => outcome.askedToLeave > 0 && !served.has(current)
      stream.on('error', (error) => unseen() || isNew() || outcome.failures.push(error.message))
      stream.on('close', () => {
        if (status === 200) {
          outcome.answered += 1
          served.add(current)
        } else if (!unseen()) {
          if (isNew()) outcome.refused += 1
          else outcome.failures.push(`closed with status ${status}`)
        }
        resolve(status === 200 || unseen())
      })
      stream.resume().end()
    })
  }, 16)
}

function loopPublisher(kind: string, taken: string[], publish: (object: string) => Promise<unknown>): Loop {
  let count = 0
  return loopOf(async (outcome) => {
    const data = `${kind} ${++count}`
    try {
      await publish(JSON.stringify({ data }))
      taken.push(data)
      outcome.answered += 1
      return true
    } catch {
      // Its publisher knows that it must publish again.
      return false
    }
  }, 4)
}

function loopWorkload(): Loop {
  const clients = new Map<number, WorkloadApiClient>()
  return loopOf(async (outcome, index) => {
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
