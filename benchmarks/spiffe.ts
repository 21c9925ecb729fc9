import { rmSync } from 'node:fs'
import https from 'node:https'
import { dirname, join } from 'node:path'
import {
  authorizeId,
  cachedValidator,
  JwtSource,
  parseAndValidate,
  SpiffeAgent,
  tlsClient,
  WorkloadApiClient,
  X509Source,
} from '@hallpass/spiffe'
import { jwks, TestTrustDomain } from '@hallpass/spiffe/testing'
import { buildGoPeer, type GoPeer, hasGo, startGoPeer } from '../packages/spiffe/src/testing/go-peer.ts'
import { SpiffeServices } from './spiffe/services.ts'
import { formatTable, median } from './table.ts'

/** Alternating rounds, so that other load on the machine affects both sides. */
const ROUNDS = 5
const ROUND_SECONDS = 1

/** Concurrent calls and connections, for the figures of a busy workload. */
const AT_ONCE = 32

const SERVER = 'spiffe://example.org/server'

/**
 * Measures JWT-SVID validations, fetches from the suite's agent and requests through a proxy, per second, and compares
 * them with go-spiffe if Go is installed. Both use the same agent and get their load from the same generator.
 */
export async function run(root: string): Promise<void> {
  const go = hasGo() ? buildGoPeer(join(root, 'packages/spiffe/peers/go')) : undefined
  if (!go) console.log('go is not installed (https://go.dev/dl): no figures for go-spiffe\n')
  const services = new SpiffeServices(root)
  const peers: GoPeer[] = []
  try {
    await services.start('spiffe-agent')
    const ask = (...args: string[]) => startGoPeer(go as string, args, services.address('client'))
    const rows = [...(await validations(go)), ...(await fetches(services, go ? ask : undefined))]

    const { https: server } = await services.start('spiffe-server')
    const { https: proxy } = await services.start('spiffe-proxy', { SERVER_URL: server as string })
    const start = async (role: string, ...args: string[]) => {
      const peer = startGoPeer(go as string, [`bench-${role}`, ...args], services.address(role))
      peers.push(peer)
      return `https://localhost:${await peer.line()}`
    }
    const theirs = go ? await start('proxy', await start('server')) : undefined
    const load = (url: string) => () =>
      go
        ? number(ask('bench-load', String(ROUND_SECONDS), String(AT_ONCE), url))
        : requestsPerSecond(services, url)
    rows.push(
      await compare(
        'requests through proxy and server',
        load(proxy as string),
        theirs ? load(theirs) : undefined,
      ),
    )
    console.log(
      `per second, median of ${ROUNDS} rounds of ${ROUND_SECONDS} s each; ${AT_ONCE} connections to the proxies\n`,
    )
    console.log(formatTable(['', 'hallpass', 'go-spiffe', 'ratio'], rows))
  } finally {
    for (const peer of peers) peer.process.kill()
    await services.stop()
    if (go) rmSync(dirname(go), { recursive: true })
  }
}

async function validations(go: string | undefined): Promise<string[][]> {
  const domain = await TestTrustDomain.create('example.org')
  const token = domain.jwtSvid('/workload', 'audience')
  const bundle = domain.jwtBundle
  const validateAgain = cachedValidator(bundle, 'audience')
  const question = JSON.stringify({ Tokens: [token], Audience: ['audience'], JWKS: jwks([domain.jwtKey]) })
  const theirs = () =>
    number(startGoPeer(go as string, ['bench-validate', String(ROUND_SECONDS)], '', question))
  const validate = () => perSecond(() => void parseAndValidate(token, bundle, 'audience'))
  await validate()
  return [
    await compare('JWT-SVID validations', validate, go ? theirs : undefined),
    await compare('the same token again, cachedValidator', () => perSecond(() => void validateAgain(token))),
  ]
}

async function fetches(
  services: SpiffeServices,
  ask: ((...args: string[]) => GoPeer) | undefined,
): Promise<string[][]> {
  const client = new WorkloadApiClient({ address: services.address('client') })
  const rows: string[][] = []
  for (const atOnce of [1, AT_ONCE]) {
    const ours = () => inLoops(atOnce, () => client.fetchJwtSvid({ audience: 'audience' }))
    const theirs = ask && (() => number(ask('bench-fetch', String(ROUND_SECONDS), String(atOnce))))
    await ours()
    rows.push(await compare(`Workload API fetches, ${atOnce} concurrent`, ours, theirs))
  }
  client.close()
  // As used by a workload: our source caches a token until half of its lifetime has passed, theirs fetches each one.
  const source = await JwtSource.open({ address: services.address('client') })
  const ofSource = () => inLoops(1, () => source.fetchJwtSvid({ audience: 'audience' }))
  await ofSource()
  const ofTheirs = ask && (() => number(ask('bench-source', String(ROUND_SECONDS))))
  rows.push(await compare('JWT-SVIDs of a source', ofSource, ofTheirs))
  source.close()
  return rows
}

const number = async (peer: GoPeer) => Number(await peer.done())

/** Generates the load if Go is not installed. */
async function requestsPerSecond(services: SpiffeServices, url: string): Promise<number> {
  const address = services.address('client')
  const source = await X509Source.open({ address })
  const client = new WorkloadApiClient({ address })
  const agent = new SpiffeAgent(tlsClient(source, authorizeId(SERVER)), { maxSockets: AT_ONCE })
  const headers = { authorization: `Bearer ${(await client.fetchJwtSvid({ audience: SERVER })).marshal()}` }
  const request = () =>
    new Promise<void>((resolve, reject) => {
      const call = https.get(url, { agent, headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
        response.resume().once('end', resolve)
      })
      call.once('error', reject)
    })
  const figure = await inLoops(AT_ONCE, request)
  agent.destroy()
  client.close()
  source.close()
  return figure
}

async function compare(
  name: string,
  ours: () => Promise<number>,
  theirs?: (() => Promise<number>) | undefined,
): Promise<string[]> {
  const figures: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] }
  for (let round = 0; round < ROUNDS; round++) {
    figures.ours.push(await ours())
    if (theirs) figures.theirs.push(await theirs())
  }
  const [own, other] = [median(figures.ours), median(figures.theirs)]
  return [name, own.toFixed(0), theirs ? other.toFixed(0) : '-', theirs ? (own / other).toFixed(2) : '-']
}

async function perSecond(once: () => void): Promise<number> {
  const started = performance.now()
  let count = 0
  while (performance.now() - started < ROUND_SECONDS * 1000) {
    for (let batch = 0; batch < 20; batch++) once()
    count += 20
  }
  return (count * 1000) / (performance.now() - started)
}

async function inLoops(atOnce: number, once: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  let count = 0
  const loop = async () => {
    while (performance.now() - started < ROUND_SECONDS * 1000) {
      await once()
      count += 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, loop))
  return (count * 1000) / (performance.now() - started)
}
