import { join } from 'node:path'
import { type LoadResult, load } from './load.ts'
import { formatTable, median } from './table.ts'
import { passOnly, withCachedToken } from './token-cache/nginx.ts'
import { type Hop, Tier } from './token-cache/tier.ts'

const CONNECTIONS = 32
const ROUNDS = 5
const ROUND_MS = 1_500
const WARM_UP_MS = 1_000

/**
 * Measures the token cache on hits, compared with nginx's `auth_request` with a cached token in front of the same API, in
 * alternating rounds.
 */
export async function run(root: string): Promise<void> {
  const tier = await Tier.open(root, 'RS256')
  try {
    await oneHop(tier)
    await chain(tier)
  } finally {
    await tier.close()
  }
}

async function oneHop(tier: Tier): Promise<void> {
  const cached = withCachedToken(tier.api.url, tier.issuer.url)
  const hops: Hop[] = [
    tier.api,
    await tier.nginx('nginx, auth_request + cache', cached),
    await tier.proxy('token-cache proxy', 'proxy-a'),
    await tier.nginx('nginx, the same, access log', { ...cached, log: join(tier.folder, 'access.log') }),
    await tier.proxy('token-cache proxy, access log', 'proxy-b', { LOG_LEVEL: 'info' }),
  ]
  console.log(
    `One proxy, hits, ${CONNECTIONS} connections, median of ${ROUNDS} rounds of ${ROUND_MS / 1000} s\n`,
  )
  await compare(hops, [
    [2, 1],
    [4, 3],
  ])
  console.log(`\nissuer calls in total: ${tier.issuer.calls()}\n`)
}

async function chain(tier: Tier): Promise<void> {
  const cached = withCachedToken(tier.api.url, tier.issuer.url)
  const nginxes = [await tier.nginx('', cached), await tier.nginx('', cached)]
  const proxies = [await tier.proxy('', 'proxy-c'), await tier.proxy('', 'proxy-d')]
  console.log('Balancer, two proxies, API\n')
  await compare(
    [
      await tier.nginx('nginx, nginx ×2', passOnly(nginxes.map(({ url }) => url))),
      await tier.balancer('token-cache balancer, proxy ×2', proxies),
    ],
    [[1, 0]],
  )
  console.log('\n(CPU is of the balancers only.)\n')
}

async function compare(hops: readonly Hop[], pairs: readonly (readonly [number, number])[]): Promise<void> {
  const results = hops.map(() => [] as (LoadResult & { cpuUs: number; alone: number })[])
  for (const hop of hops) await measure(hop, WARM_UP_MS)
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [index, hop] of hops.entries()) results[index]?.push(await measure(hop, ROUND_MS))
  const figure = (index: number, key: 'perSecond' | 'p50' | 'p99' | 'cpuUs' | 'alone') =>
    median((results[index] ?? []).map((result) => result[key]))
  console.log(
    formatTable(
      ['', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs/req', 'p50 ms, 1 connection', 'failures'],
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

async function measure({ contestant, url, headers }: Hop, milliseconds: number) {
  const before = contestant.cpuMs()
  const result = await load({ url, headers, connections: CONNECTIONS, milliseconds, expect: '"data":"xx' })
  const cpuUs = ((contestant.cpuMs() - before) * 1000) / result.answers
  const alone = (await load({ url, headers, connections: 1, milliseconds: milliseconds / 4 })).p50
  return { ...result, cpuUs, alone }
}
