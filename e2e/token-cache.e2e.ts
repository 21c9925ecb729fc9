import http from 'node:http'
import { dirname } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { startRedis, type TestRedis } from '@hallpass/token-store/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { SuiteProcess } from '../scripts/suite-builder.ts'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'

const root = dirname(import.meta.dirname)
const TIERS = [
  'jwt-factory',
  'token-cache-api',
  'token-cache-auth',
  'token-cache-proxy1',
  'token-cache-proxy2',
  'token-cache-load-balancer',
]
const KEYVALS = '/api/8/http/keyvals/tokens/'

interface Answer {
  readonly status: number
  readonly text: string
}

/** The token cache as `npm start` runs it. */
class Tier {
  readonly suite: TestSuite
  /** Like every caller of the suite, closes idle connections long before the server does (10 s). */
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1_000, timeout: 4_000 })

  private constructor(suite: TestSuite) {
    this.suite = suite
  }

  static async start(env: Record<string, string> = {}): Promise<Tier> {
    return new Tier(await startTestSuite(root, { only: TIERS, env }))
  }

  async stop() {
    this.#agent.destroy()
    await this.suite.stop()
  }

  /** `curl -H "remote-user: …" localhost:8000` */
  get(user: string, method = 'GET'): Promise<Answer> {
    return this.call('token-cache-load-balancer', '/', method, {
      'remote-user': user,
      'user-agent': 'curl/7.86.0',
    })
  }

  call(service: string, path: string, method = 'GET', headers = {}, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        this.suite.url(service) + path,
        { method, headers, agent: this.#agent },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk
          })
          answer.on('end', () => resolve({ status: answer.statusCode as number, text }))
          answer.on('error', reject)
        },
      )
      request.on('error', reject)
      request.end(body)
    })
  }

  block(key: string, value: unknown = '0', proxy = 1): Promise<Answer> {
    return this.call(`token-cache-proxy${proxy}`, KEYVALS, 'PATCH', {}, JSON.stringify({ [key]: value }))
  }

  /** Returns the number of requests for tokens at the auth tier. */
  async issuerCalls(): Promise<number> {
    const { text } = await this.call('token-cache-auth', '/metrics')
    return Number(/http_request_duration_seconds_count\{.*route="\/auth".*\} (\d+)/.exec(text)?.[1] ?? 0)
  }

  log(service: string): Record<string, unknown>[] {
    return this.suite.lines
      .filter((line) => line.startsWith(`${service} {`))
      .map((line) => JSON.parse(line.slice(service.length + 1)))
  }

  kill(service: string) {
    void this.suite.launcher.stopService(service, 'SIGKILL')
  }

  /** Restarts a killed service. */
  async revive(service: string) {
    const { readyz } = this.suite.processes.find(({ name }) => name === service) as SuiteProcess
    await this.suite.launcher.startService(service)
    // The balancer checks twice per second whether a proxy has recovered.
    const up = new RegExp(`proxy="${new URL(readyz).host}"[^}]*} 1`)
    await until(async () => up.test((await this.call('token-cache-load-balancer', '/metrics')).text))
  }
}

const jtiOf = ({ text }: Answer) => (JSON.parse(text) as { jti: string }).jti

let tier: Tier

/** Tests for every kind of store. */
function barsOf(environment: () => Record<string, string>) {
  beforeAll(async () => {
    tier = await Tier.start(environment())
  }, 60_000)
  afterAll(() => tier.stop())

  it('requests one token for a thousand first requests of one user at two proxies', async () => {
    const before = await tier.issuerCalls()
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => tier.get('crowd')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(jtiOf)).size).toBe(1)
    expect((await tier.issuerCalls()) - before).toBe(1)
    for (const proxy of ['token-cache-proxy1', 'token-cache-proxy2'])
      expect(tier.log(proxy).filter(({ msg }) => msg === 'request').length).toBeGreaterThan(100)
  }, 40_000)

  it('rejects a blocked key at every proxy within a second', async () => {
    const delays: number[] = []
    for (const user of ['blocked1', 'blocked2', 'blocked3']) {
      await Promise.all([tier.get(user), tier.get(user), tier.get(user), tier.get(user)])
      const blocked = performance.now()
      expect(await tier.block(`${user}:curl/7.86.0`)).toMatchObject({ status: 204 })
      // Two requests, one for each proxy.
      const bothRefuse = async () =>
        (await tier.get(user)).status === 403 && (await tier.get(user)).status === 403
      while (!(await bothRefuse())) expect(performance.now() - blocked).toBeLessThan(1_000)
      delays.push(performance.now() - blocked)
      for (let i = 0; i < 10; i += 1) expect((await tier.get(user)).status).toBe(403)
    }
    expect(Math.max(...delays)).toBeLessThan(1_000)
  }, 40_000)

  it('fails no GET when a proxy is killed under load', async () => {
    await tier.get('loaded')
    const failures: Answer[] = []
    let done = 0
    let stop = false
    const load = Array.from({ length: 16 }, async () => {
      while (!stop) {
        const answer = await tier.get('loaded')
        done += 1
        if (answer.status !== 200) failures.push(answer)
      }
    })
    await until(() => done >= 200)
    const before = done
    tier.kill('token-cache-proxy1')
    await until(() => done >= before + 200)
    stop = true
    await Promise.all(load)
    await tier.revive('token-cache-proxy1')
    expect(failures).toEqual([])
  }, 40_000)

  it('lets the other proxy request the token if one is killed while it does so', async () => {
    // The auth tier is suspended, so the first proxy that calls it waits.
    process.kill(tier.suite.launcher.pid('token-cache-auth') as number, 'SIGSTOP')
    const waiting = [tier.get('orphaned'), tier.get('orphaned')]
    await new Promise((resolve) => setTimeout(resolve, 300))
    tier.kill('token-cache-proxy1')
    process.kill(tier.suite.launcher.pid('token-cache-auth') as number, 'SIGCONT')
    const answers = await Promise.all(waiting)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    await tier.revive('token-cache-proxy1')
  }, 40_000)
}

describe('the token cache on lmdb', () => {
  it('logs the documented flow: balancer, proxy, auth tier once, API; then no auth tier at either proxy', async () => {
    const first = await tier.get('user1')
    expect(first.status).toBe(200)
    const jti = jtiOf(first)
    expect(JSON.parse(first.text)).toEqual({ user: 'user1', jti })
    const others = [await tier.get('user1'), await tier.get('user1')]
    expect(others.map(jtiOf)).toEqual([jti, jti])

    const withToken = (service: string) =>
      tier.log(service).filter((line) => line.msg === 'request' && line.jti === jti)
    // Each tier logs a request after its answer, so the proxies log last.
    await until(
      () =>
        ['token-cache-api', 'token-cache-proxy1', 'token-cache-proxy2'].reduce(
          (lines, service) => lines + withToken(service).length,
          0,
        ) >= 6,
    )
    const times = TIERS.map((service) => [service, withToken(service).length])
    expect(Object.fromEntries(times)).toMatchObject({
      'token-cache-proxy1': 2,
      'token-cache-proxy2': 1,
      'token-cache-auth': 1,
      'token-cache-api': 3,
    })
    const [miss] = withToken('token-cache-proxy1')
    const [atBalancer] = tier
      .log('token-cache-load-balancer')
      .filter((line) => line.requestId === miss?.requestId)
    expect(atBalancer).toMatchObject({ status: 200, us: 200, ul: first.text.length, agent: 'curl/7.86.0' })
    expect(miss).toMatchObject({ status: 200, us: 200, cs: 'MISS' })
    expect(withToken('token-cache-auth')[0]).toMatchObject({
      path: '/auth',
      status: 200,
      userinfo: 'user1:curl/7.86.0',
      requestId: miss?.requestId,
    })
    expect(withToken('token-cache-proxy2')[0]).toMatchObject({ cs: 'HIT' })
    expect(tier.suite.lines.join('\n')).not.toContain('eyJ')
  }, 40_000)

  it('blocks with the documented command and page; the command is not reachable through the balancer', async () => {
    await tier.get('user1')
    const outside = await tier.call(
      'token-cache-load-balancer',
      KEYVALS,
      'PATCH',
      { 'remote-user': 'user1', 'user-agent': 'curl/7.86.0' },
      '{"user1:curl/7.86.0":"0"}',
    )
    expect(outside.status).toBe(404)
    expect((await tier.get('user1')).status).toBe(200)
    expect((await tier.block('user1:curl/7.86.0')).status).toBe(204)
    expect((await tier.block('user2:curl/7.86.0')).status).toBe(404)
    await until(
      async () => (await tier.get('user1')).status === 403 && (await tier.get('user1')).status === 403,
    )
    expect((await tier.get('user1')).text).toContain('<h1>403 Forbidden</h1>')
  }, 40_000)

  barsOf(() => ({}))

  it('keeps a valid store when its writers are killed', async () => {
    let stop = false
    let users = 0
    const load = Array.from({ length: 8 }, async () => {
      while (!stop) {
        users += 1
        await tier.get(`writer${users}`)
      }
    })
    await until(() => users >= 60)
    tier.kill('token-cache-proxy2')
    await until(() => users >= 120)
    stop = true
    await Promise.all(load)
    const { status, text } = await tier.call('token-cache-proxy1', KEYVALS)
    expect(status).toBe(200)
    const pairs = Object.entries(JSON.parse(text) as Record<string, string>).filter(([key]) =>
      key.startsWith('writer'),
    )
    expect(pairs.length).toBeGreaterThan(users / 2)
    for (const [key, value] of pairs) {
      expect(key).toMatch(/^writer\d+:curl\/7\.86\.0$/)
      expect(value).toMatch(/^jti=[\w-]{36} exp=/)
    }
    expect((await tier.get('new-user')).status).toBe(200)
  }, 40_000)
})

describeWith('redis-server', 'apt-get install redis-server')('the token cache on Redis', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())
  barsOf(() => ({ REDIS_URL: redis.url }))

  it('uses cached tokens while Redis is unavailable, and recovers with it', async () => {
    // Both proxies have the token, whichever the balancer chooses. One of them has just restarted and has no other.
    const knowsSomebody = async (proxy: string) =>
      /^token_cache_copies\{.*\} [1-9]/m.test((await tier.call(proxy, '/metrics')).text)
    const { jti } = JSON.parse((await tier.get('known')).text) as { jti: string }
    await until(async () => {
      for (let i = 0; i < 4; i += 1) await tier.get('known')
      return (await knowsSomebody('token-cache-proxy1')) && (await knowsSomebody('token-cache-proxy2'))
    })
    await redis.kill()
    const during = await Promise.all(Array.from({ length: 100 }, () => tier.get('known')))
    expect(new Set(during.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(during.map(jtiOf))).toEqual(new Set([jti]))
    const unknown = await tier.get('unknown')
    expect(unknown.status).toBe(503)
    expect(unknown.text).toContain('store_unavailable')
    expect((await tier.call('token-cache-proxy1', '/readyz')).status).toBe(503)

    await redis.start()
    await until(
      async () => (await tier.get('unknown')).status === 200 && (await tier.get('unknown')).status === 200,
    )
    expect((await tier.get('known')).status).toBe(200)
    expect((await tier.block('unknown:curl/7.86.0')).status).toBe(204)
    await until(
      async () => (await tier.get('unknown')).status === 403 && (await tier.get('unknown')).status === 403,
    )
  }, 40_000)
})

async function until(ask: () => Promise<boolean> | boolean, withinMs = 5_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await ask())) {
    if (performance.now() > deadline)
      throw new Error(`The expected state was not reached within ${withinMs} ms.`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
