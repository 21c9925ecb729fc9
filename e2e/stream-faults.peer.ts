import { mkdtemp, readFile, rm } from 'node:fs/promises'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { EventStreamParser } from '@hallpass/event-stream'
import { freePorts } from '@hallpass/free-ports'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { type SigningKey, signToken } from '@hallpass/tokens'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { Balancer } from './balancer.ts'
import { ServiceProcess } from './service-process.ts'
import { curl, eventSource, type StreamClient } from './stream-clients.ts'
import { until } from './stream-system.ts'

/**
 * Events of 10 KB to a thousand clients: 600 MB, most of it in kernel buffers. The kernel limits the buffers of the whole
 * machine (`tcp_mem`); beyond the limit all senders wait, even unrelated ones.
 */
const UNREAD_EVENTS = 60

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** The SSE server and two gateways behind a balancer, each in its own process. */
class Processes {
  stateFolder = ''
  ca = ''
  caFile = ''
  server!: ServiceProcess
  gateways: ServiceProcess[] = []
  gatewayUrls: string[] = []
  balancer!: Balancer
  serverUrl = ''
  #key!: SigningKey

  async start(env: Readonly<Record<string, string>>): Promise<void> {
    this.stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-faults-'))
    const { caFile } = await ensureDevelopmentCertificates(this.stateFolder)
    this.caFile = caFile
    this.ca = await readFile(caFile, 'utf8')
    this.#key = (await ensureExampleKeys(join(this.stateFolder, 'sse'))).rs256
    const ports = (await freePorts(6)) as [number, number, number, number, number, number]
    const [tcp, http, ...ofGateways] = ports
    this.serverUrl = `http://localhost:${http}`
    const shared = { STATE_FOLDER: this.stateFolder, ...env }
    this.server = new ServiceProcess('sse-server', http, {
      ...shared,
      TCP_PORT: `${tcp}`,
      HTTP_PORT: `${http}`,
    })
    this.gateways = [0, 2].map((index) => {
      const port = ofGateways[index] as number
      this.gatewayUrls.push(`https://localhost:${port}`)
      return new ServiceProcess('sse-gateway', port, {
        ...shared,
        PORT: `${port}`,
        SECOND_PORT: `${ofGateways[index + 1]}`,
        UPSTREAM_URL: `${this.serverUrl}/events`,
        ASSETS_FOLDERS: join(import.meta.dirname, '../sse-gateway/public'),
        MAX_STREAMS_PER_SUBJECT: '5000',
      })
    })
    this.balancer = new Balancer([ofGateways[0], ofGateways[2]])
    await Promise.all([this.server, ...this.gateways].map((service) => service.start()))
    await this.balancer.start()
  }

  async stop(): Promise<void> {
    this.balancer.stop()
    await Promise.all([this.server, ...this.gateways].map((service) => service.kill('SIGTERM')))
    await rm(this.stateFolder, { recursive: true, force: true })
  }

  token(lifetimeSeconds = 300): Promise<string> {
    const claims = {
      iss: 'https://auth.example.com',
      aud: 'https://api.example.com',
      sub: 'example',
      scope: 'proxy:stream',
    }
    return signToken(claims, this.#key, { lifetimeSeconds })
  }

  async options() {
    const url = `${this.balancer.url}/events?access_token=${await this.token()}&handle=1`
    return { url, ca: this.ca, caFile: this.caFile }
  }

  /** Whether the server accepted it: 202 means that the log has stored it. */
  async publish(data: string): Promise<boolean> {
    try {
      const answer = await fetch(`${this.serverUrl}/publish`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ data }),
        signal: AbortSignal.timeout(5_000),
      })
      return answer.status === 202
    } catch {
      return false
    }
  }

  /** Publishes numbers until stopped; `promised` are those that the server accepted. */
  publishOn(everyMs = 10) {
    const promised: string[] = []
    const tried: string[] = []
    let stopped = false
    const running = (async () => {
      while (!stopped) {
        const data = `${tried.length}`
        tried.push(data)
        if (await this.publish(data)) promised.push(data)
        await pause(everyMs)
      }
    })()
    return {
      promised,
      tried,
      stop: () => {
        stopped = true
        return running
      },
    }
  }
}

/** Expects each accepted event once and in order. An event without an acknowledgment may also have arrived, at most once. */
function expectEachOnce(client: Pick<StreamClient, 'data' | 'name'>, promised: readonly string[]) {
  expect([client.name, client.data.length - new Set(client.data).size]).toEqual([client.name, 0])
  const known = new Set(promised)
  expect(client.data.filter((data) => known.has(data))).toEqual(promised)
}

describeWith('redis-server', 'apt-get install redis-server')(
  'killed without warning, with the log in Redis and two gateways behind a balancer:',
  () => {
    let redis: RedisServer
    const system = new Processes()
    beforeAll(async () => {
      redis = await RedisServer.start()
      await system.start({ REDIS_URL: redis.url })
    }, 30_000)
    afterAll(async () => {
      await system.stop()
      await redis.remove()
    })

    const faults: [string, () => Promise<void>][] = [
      [
        'the SSE server',
        async () => {
          await system.server.kill()
          await pause(300)
          await system.server.start()
        },
      ],
      [
        'a gateway',
        async () => {
          await system.gateways[0]?.kill()
          await pause(300)
          await system.gateways[0]?.start()
        },
      ],
      [
        'Redis',
        async () => {
          await redis.kill()
          await pause(1_000)
          await redis.start()
        },
      ],
      [
        'every connection of the clients, between events',
        async () => {
          for (let cut = 0; cut < 3; cut += 1) {
            system.balancer.cut()
            await pause(200)
          }
        },
      ],
    ]

    it.each(faults)(
      '%s: every client gets every promised event once, in order',
      async (_name, happen) => {
        const clients = await Promise.all(
          Array.from({ length: 20 }, async () => eventSource(await system.options())),
        )
        await until(() => clients.every(({ seen }) => seen.has('stream')))
        const publisher = system.publishOn()
        await until(() => clients.every(({ data }) => data.length >= 20))
        await happen()
        const before = publisher.promised.length
        await until(() => publisher.promised.length >= before + 50, 20_000)
        await publisher.stop()
        const last = publisher.promised.at(-1) as string
        await until(() => clients.every(({ data }) => data.includes(last)), 20_000)
        for (const client of clients) {
          client.close()
          expectEachOnce(client, publisher.promised)
        }
        for (const service of [system.server, ...system.gateways]) {
          expect(service.isRunning).toBe(true)
          expect(service.log).not.toMatch(/uncaught|unhandled|eyJ/i)
        }
      },
      60_000,
    )

    it('a revocation and an answer to a challenge reach the gateway that has the stream', async () => {
      const [first, second] = system.gatewayUrls as [string, string]
      const token = await system.token()
      const stream = await open(`${first}/events`, await system.token(200), system.ca)
      const post = (path: string, headers: Record<string, string>, body?: string) =>
        new Promise<number>((resolve, reject) => {
          const request = https.request(
            second + path,
            { method: 'POST', ca: system.ca, headers: { authorization: `Bearer ${token}`, ...headers } },
            (response) => resolve(response.resume().statusCode ?? 0),
          )
          request.once('error', reject).end(body)
        })
      const handle = String(stream.headers['stream-handle'])
      const type = 'application/x-challenge-response'
      expect(await post('/events', { 'content-type': type, 'stream-handle': handle })).toBe(204)
      const ended = new Promise((resolve) => stream.once('end', resolve))
      stream.resume()
      const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
      const revoked = Date.now()
      const body = JSON.stringify({ jti })
      expect(await post('/revocations', { 'content-type': 'application/json' }, body)).toBe(204)
      await ended
      expect(Date.now() - revoked).toBeLessThan(1_000)
    })
  },
)

describe('with the log in memory', () => {
  const system = new Processes()
  const readers: SlowReader[] = []
  beforeAll(() => system.start({}), 30_000)
  afterEach(() => {
    for (const reader of readers.splice(0)) reader.close()
  })
  afterAll(() => system.stop())

  it('the SSE server is killed: clients stay connected, receive a gap event, and get later events once', async () => {
    const clients = [
      eventSource(await system.options()),
      curl(await system.options(), '--http2'),
      curl(await system.options(), '--http1.1'),
    ]
    await until(() => clients.every(({ seen }) => seen.has('stream')))
    await system.publish('before')
    await until(() => clients.every(({ data }) => data.length === 1))
    await system.server.kill()
    await system.server.start()
    await until(() => clients.every(({ seen }) => seen.has('gap')))
    await system.publish('after')
    await until(() => clients.every(({ data }) => data.includes('after')))
    for (const client of clients) {
      client.close()
      expect([client.name, client.data, client.seen.has('end')]).toEqual([
        client.name,
        ['before', 'after'],
        false,
      ])
    }
  }, 30_000)

  it.each([
    ['the SSE server', () => `${system.serverUrl}/events`, () => system.server],
    ['a gateway', () => `${system.gatewayUrls[0]}/events`, () => system.gateways[0] as ServiceProcess],
  ] as const)(
    'a thousand clients of %s do not read: no crash, bounded memory, and each gets every event once when it reads',
    async (name, url, service) => {
      const token = await system.token()
      for (let reader = 0; reader < 1_000; reader += 1) readers.push(new SlowReader(url(), token, system.ca))
      for (let from = 0; from < readers.length; from += 50)
        await Promise.all(readers.slice(from, from + 50).map((reader) => reader.open()))
      const fast = new SlowReader(url(), token, system.ca)
      readers.push(fast)
      await fast.open()
      fast.read()
      const before = await service().residentMegabytes()
      const text = 'x'.repeat(10_000)
      const count = UNREAD_EVENTS
      let highest = 0
      for (let index = 0; index < count; index += 1) {
        expect(await system.publish(`${index} ${text}`)).toBe(true)
        if (index % 20 === 0) highest = Math.max(highest, await service().residentMegabytes())
      }
      await until(() => fast.numbers.length === count, 20_000)
      const all = Array.from({ length: count }, (_, index) => index)
      expect(fast.numbers).toEqual(all)
      console.log(
        `${name}: ${before.toFixed(0)} MB before, ${highest.toFixed(0)} MB at the most, 1,000 × 600 KB unread`,
      )
      // One queue per client would need 600 MB.
      expect(highest - before).toBeLessThan(300)
      const some = readers.filter((reader, index) => index % 20 === 0 && reader !== fast)
      for (const reader of readers) if (!some.includes(reader)) reader.close()
      for (const reader of some) reader.read()
      await until(() => some.every(({ numbers }) => numbers.length >= count), 40_000)
      for (const { numbers } of some) expect(numbers).toEqual(all)
      expect(service().isRunning).toBe(true)
    },
    120_000,
  )
})

/** Opens a stream and reads only on demand. Reconnects with its last event ID after it was dropped. */
class SlowReader {
  readonly numbers: number[] = []
  readonly #url: string
  readonly #token: string
  readonly #ca: string
  #lastEventId: string | undefined
  #response: IncomingMessage | undefined
  #closed = false

  constructor(url: string, token: string, ca: string) {
    this.#url = url
    this.#token = token
    this.#ca = ca
  }

  async open(): Promise<void> {
    const response = await open(this.#url, this.#token, this.#ca, this.#lastEventId)
    const parser = new EventStreamParser({
      onEvent: ({ event, data, id }) => {
        if (event !== undefined) return
        this.numbers.push(Number(data.split(' ', 1)[0]))
        this.#lastEventId = id
      },
    })
    response.on('data', (chunk: Buffer) => parser.push(chunk))
    response.pause()
    response.on('error', () => {})
    response.once('close', () => void this.#comeBack())
    this.#response = response
  }

  read(): void {
    this.#response?.resume()
  }

  close(): void {
    this.#closed = true
    this.#response?.destroy()
  }

  async #comeBack() {
    if (this.#closed) return
    await pause(100)
    if (this.#closed) return
    await this.open().then(
      () => this.read(),
      () => this.#comeBack(),
    )
  }
}

function open(url: string, token: string, ca: string, lastEventId?: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    }
    const request = (url.startsWith('https:') ? https : http).get(
      url,
      { agent: false, headers, ca },
      (response) => {
        if (response.statusCode === 200) resolve(response)
        else reject(new Error(`The stream was rejected: ${response.statusCode}.`))
      },
    )
    request.once('error', reject)
  })
}
