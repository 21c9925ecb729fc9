import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LmdbStore } from '@hallpass/token-store'
import { freePorts } from '../scripts/free-ports.ts'
import { toStored } from '../token-cache/proxy/src/cached-token.ts'
import { KeyMaker } from '../token-cache/proxy/src/identity.ts'
import { type LoadResult, load } from './load.ts'
import { formatTable, median } from './table.ts'
import { API_PROGRAM, AUDIENCE, type BenchIssuer, ISSUER, startIssuer } from './token-cache/issuer.ts'
import { passOnly, startNginx, withCachedToken } from './token-cache/nginx.ts'
import { Contestant } from './token-cache/processes.ts'

const CONNECTIONS = 32
const ROUNDS = 5
const ROUND_MS = 1_500
const WARM_UP_MS = 1_000
const AGENT = 'bench/1.0'
/** How many users the store holds when the curve is measured. */
const SIZES = [1_000, 10_000, 100_000, 1_000_000]
/** Of each size, the users that are asked for: each once, so that none is in the proxy's own memory. */
const SAMPLE = 500
/** For each size: filling the store must not take the whole afternoon. */
const FILL_MS = 120_000

interface Hop {
  readonly name: string
  readonly url: string
  readonly contestant: Contestant
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The token cache on hits, beside nginx's `auth_request` with a cached token before the same API, in one run, round by
 * round; then the cost of a million users.
 */
export async function run(root: string): Promise<void> {
  const bench = await Bench.open(root)
  try {
    await bench.oneHop()
    await bench.chain()
    await bench.manyUsers()
  } finally {
    await bench.close()
  }
}

class Bench {
  readonly #root: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'bench-token-cache-'))
  readonly #secret = randomBytes(32).toString('base64url')
  readonly #issuer: BenchIssuer
  readonly #ports: number[]
  readonly #all: Contestant[] = []
  #api = ''

  private constructor(root: string, issuer: BenchIssuer, ports: number[]) {
    this.#root = root
    this.#issuer = issuer
    this.#ports = ports
    writeFileSync(join(this.#folder, 'secret'), this.#secret, { mode: 0o600 })
  }

  static async open(root: string): Promise<Bench> {
    const bench = new Bench(root, await startIssuer(), await freePorts(20))
    const port = bench.#port()
    bench.#api = `http://127.0.0.1:${port}`
    await bench.#contestant().start(process.execPath, ['-e', API_PROGRAM, String(port)], {
      ready: `${bench.#api}/healthz`,
    })
    return bench
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((contestant) => contestant.stop()))
    this.#issuer.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async oneHop(): Promise<void> {
    const direct = { headers: { authorization: 'Bearer ey' } }
    const hops: Hop[] = [
      { name: 'API, no proxy', url: this.#api, contestant: this.#all[0] as Contestant, ...direct },
      await this.#nginx('nginx, auth_request + cache', withCachedToken(this.#api, this.#issuer.url)),
      await this.#proxy('token-cache proxy', 'proxy-a'),
      await this.#nginx('nginx, the same, access log', {
        ...withCachedToken(this.#api, this.#issuer.url),
        log: join(this.#folder, 'access.log'),
      }),
      await this.#proxy('token-cache proxy, access log', 'proxy-b', { LOG_LEVEL: 'info' }),
    ]
    console.log(
      `One hop, hits, ${CONNECTIONS} connections, median of ${ROUNDS} rounds of ${ROUND_MS / 1000} s\n`,
    )
    await this.#compare(hops, [
      [2, 1],
      [4, 3],
    ])
    console.log(`\nissuer calls in all that: ${this.#issuer.calls()}\n`)
  }

  async chain(): Promise<void> {
    const nginxes = [
      await this.#nginx('', withCachedToken(this.#api, this.#issuer.url)),
      await this.#nginx('', withCachedToken(this.#api, this.#issuer.url)),
    ]
    const nginxBalancer = await this.#nginx('', passOnly(nginxes.map(({ url }) => url)))
    const proxies = [await this.#proxy('', 'proxy-c'), await this.#proxy('', 'proxy-d')]
    const contestant = this.#contestant()
    const port = this.#port()
    const url = `http://127.0.0.1:${port}`
    await this.#service(contestant, 'token-cache-load-balancer', port, {
      PROXY_URLS: proxies.map((proxy) => proxy.url).join(),
    })
    const users = { 'remote-user': 'user1', 'user-agent': AGENT }
    console.log('Balancer, two proxies, API\n')
    await this.#compare(
      [
        { ...nginxBalancer, name: 'nginx, nginx ×2', headers: users },
        { name: 'token-cache balancer, proxy ×2', url, contestant, headers: users },
      ],
      [[1, 0]],
    )
    console.log('\n(CPU is that of the balancers alone.)\n')
  }

  async #compare(hops: readonly Hop[], pairs: readonly (readonly [number, number])[]): Promise<void> {
    const results = hops.map(() => [] as (LoadResult & { cpuUs: number; alone: number })[])
    for (const hop of hops) await this.#measure(hop, WARM_UP_MS)
    for (let round = 0; round < ROUNDS; round += 1)
      for (const [index, hop] of hops.entries()) results[index]?.push(await this.#measure(hop, ROUND_MS))
    const figure = (index: number, key: 'perSecond' | 'p50' | 'p99' | 'cpuUs' | 'alone') =>
      median((results[index] ?? []).map((result) => result[key]))
    console.log(
      formatTable(
        ['', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs/req', 'p50 alone', 'failures'],
        hops.map(({ name }, index) => [
          name,
          figure(index, 'perSecond').toFixed(0),
          figure(index, 'p50').toFixed(2),
          figure(index, 'p99').toFixed(2),
          figure(index, 'cpuUs').toFixed(1),
          figure(index, 'alone').toFixed(3),
          String((results[index] ?? []).reduce((sum, { failures }) => sum + failures, 0)),
        ]),
      ),
    )
    for (const [ours, theirs] of pairs)
      console.log(
        `\n${hops[ours]?.name} / ${hops[theirs]?.name}: ${(figure(ours, 'perSecond') / figure(theirs, 'perSecond')).toFixed(2)} × the requests, ` +
          `${(figure(ours, 'cpuUs') / figure(theirs, 'cpuUs')).toFixed(2)} × the CPU per request`,
      )
  }

  async #measure(hop: Hop, milliseconds: number) {
    const before = hop.contestant.cpuMs()
    const { url, headers } = hop
    const result = await load({ url, headers, connections: CONNECTIONS, milliseconds, expect: '"data":"xx' })
    const cpuUs = ((hop.contestant.cpuMs() - before) * 1000) / result.answers
    const alone = (await load({ url, headers, connections: 1, milliseconds: milliseconds / 4 })).p50
    return { ...result, cpuUs, alone }
  }

  /** How long a request takes whose user is in the store but not in the proxy, and what the proxy holds, as users come. */
  async manyUsers(): Promise<void> {
    const folder = join(this.#folder, 'many')
    const proxy = await this.#proxy('', 'many')
    const store = new LmdbStore({ folder })
    await store.open()
    const rows: string[][] = []
    let filled = 0
    for (const size of SIZES) {
      const reached = await this.#fill(store, filled, size)
      filled = reached
      rows.push(await this.#sample(proxy, store, filled))
      if (reached < size) break
    }
    await store.close()
    console.log(`Distinct users, each asked for once (${SAMPLE} of them at each size, 8 at a time)\n`)
    console.log(formatTable(['users', 'p50 ms', 'p99 ms', 'RSS MB', 'of it the store’s pages'], rows))
  }

  /** Writes entries as the cache does; those that are asked for later get their tokens then. */
  async #fill(store: LmdbStore, from: number, to: number): Promise<number> {
    const zone = store.zone('tokens')
    const keys = new KeyMaker({ issuer: ISSUER, audience: AUDIENCE })
    const filler = await this.#issuer.tokenFor('filler')
    const deadline = performance.now() + FILL_MS
    let at = from
    while (at < to && performance.now() < deadline) {
      const batch = Math.min(10_000, to - at)
      await Promise.all(
        Array.from({ length: batch }, (_, i) =>
          zone.replace(
            keys.keyOf([`user${at + i}`, AGENT]),
            undefined,
            toStored(entryOf(`user${at + i}`, filler)),
          ),
        ),
      )
      at += batch
    }
    return at
  }

  async #sample(proxy: Hop, store: LmdbStore, size: number): Promise<string[]> {
    const zone = store.zone('tokens')
    const keys = new KeyMaker({ issuer: ISSUER, audience: AUDIENCE })
    const users = Array.from({ length: SAMPLE }, () => `user${Math.floor(Math.random() * size)}`)
    for (const user of users) {
      const key = keys.keyOf([user, AGENT])
      await zone.replace(key, await zone.get(key), toStored(entryOf(user, await this.#issuer.tokenFor(user))))
    }
    const latencies: number[] = []
    const calls = this.#issuer.calls()
    const queue = [...new Set(users)]
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let user = queue.pop(); user !== undefined; user = queue.pop()) {
          const headers = { ...proxy.headers, 'remote-user': user }
          const { p50, failures } = await load({ url: proxy.url, headers, connections: 1, requests: 1 })
          if (failures > 0) throw new Error(`The request of ${user} failed.`)
          latencies.push(p50)
        }
      }),
    )
    if (this.#issuer.calls() !== calls)
      throw new Error('The issuer was asked for a token that is in the store.')
    latencies.sort((a, b) => a - b)
    const { rss, ofFiles } = proxy.contestant.memory()
    const at = (share: number) => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2)
    return [size.toLocaleString('en'), at(0.5), at(0.99), rss.toFixed(0), ofFiles.toFixed(0)]
  }

  #contestant(): Contestant {
    const contestant = new Contestant()
    this.#all.push(contestant)
    return contestant
  }

  #port(): number {
    return this.#ports.pop() as number
  }

  async #nginx(name: string, config: { server: string; upstreams: string; log?: string }): Promise<Hop> {
    const contestant = this.#contestant()
    const url = await startNginx(contestant, this.#folder, { port: this.#port(), ...config })
    return { name, url, contestant, headers: { 'remote-user': 'user1', 'user-agent': AGENT } }
  }

  async #proxy(name: string, folder: string, env: Readonly<Record<string, string>> = {}): Promise<Hop> {
    const contestant = this.#contestant()
    const port = this.#port()
    await this.#service(contestant, 'token-cache-proxy', port, {
      PROXY_NAME: folder,
      STORE_FOLDER: join(this.#folder, folder),
      AUTH_URL: this.#issuer.url,
      API_URL: this.#api,
      JWT_FACTORY_URL: this.#issuer.url,
      ISSUER,
      AUDIENCE,
      ASSETS_FOLDER: join(this.#root, 'token-cache/proxy/public'),
      HOUSE_FOLDER: join(this.#root, 'web-ui/public'),
      ...env,
    })
    const headers = { 'remote-user': 'user1', 'user-agent': AGENT, 'x-hallpass-tier': this.#secret }
    return { name, url: `http://127.0.0.1:${port}`, contestant, headers }
  }

  #service(contestant: Contestant, name: string, port: number, env: Readonly<Record<string, string>>) {
    return contestant.start(process.execPath, [join(this.#root, `.hallpass/bundles/${name}.cjs`)], {
      ready: `http://127.0.0.1:${port}/healthz`,
      log: join(this.#folder, `${port}.log`),
      env: {
        PORT: String(port),
        STATE_FOLDER: this.#folder,
        TIER_SECRET_FILE: join(this.#folder, 'secret'),
        LOG_LEVEL: 'warn',
        ...env,
      },
    })
  }
}

function entryOf(user: string, token: string) {
  const now = Date.now()
  const usableUntil = now + 3_000_000
  return {
    kind: 'token' as const,
    readable: `${user}:${AGENT}`,
    token,
    jti: user,
    expiresAt: usableUntil,
    renewAt: usableUntil,
    freshUntil: usableUntil,
    usableUntil,
  }
}
