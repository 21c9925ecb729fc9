import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cachedValidator, parseAndValidate, WorkloadApiClient } from '@hallpass/spiffe'
import { FakeWorkloadApi, jwks, TestTrustDomain } from '@hallpass/spiffe/testing'
import { buildGoPeer, hasGo, startGoPeer } from '../packages/spiffe/src/testing/go-peer.ts'
import { formatTable, median } from './table.ts'

/** Rounds, in turn, so that a busy moment of the machine falls on both. */
const ROUNDS = 3
const ROUND_SECONDS = 1.5

/** Calls under way at once, for the figure of a busy workload. */
const CONCURRENT_FETCHES = 32

/**
 * Validations of a JWT-SVID and calls to a Workload API per second, beside go-spiffe where Go is installed: the
 * same token (ES256), the same fake Workload API in this process, one call after the other.
 */
export async function run(root: string): Promise<void> {
  const api = await FakeWorkloadApi.start()
  const domain = await TestTrustDomain.create('example.org')
  const token = domain.jwtSvid('/workload', 'audience')
  const spiffeId = domain.id('/workload')
  api.onFetchJwtSvid = () => ({ svids: [{ spiffeId, svid: token, hint: '' }] })
  const client = new WorkloadApiClient({ address: api.address })
  const go = hasGo() ? buildGoPeer(join(root, 'packages/spiffe/peers/go')) : undefined
  if (!go) console.log('go is not installed (https://go.dev/dl): no figures of go-spiffe')

  const bundle = domain.jwtBundle
  const validate = () => perSecond(() => void parseAndValidate(token, bundle, 'audience'))
  const validateAgain = cachedValidator(bundle, 'audience')
  const fetchOne = () => client.fetchJwtSvid({ audience: 'audience' })
  const question = JSON.stringify({ Tokens: [token], Audience: ['audience'], JWKS: jwks([domain.jwtKey]) })
  const askGo = async (command: string, input = '') =>
    Number(await startGoPeer(go as string, [command, String(ROUND_SECONDS)], api.address, input).done())

  await validate()
  await fetchesPerSecond(fetchOne, 1)
  const rows = [
    await compare(
      'JWT-SVID validations',
      validate,
      go === undefined ? undefined : () => askGo('bench-validate', question),
    ),
    await compare('the same token again, cachedValidator', () => perSecond(() => void validateAgain(token))),
    await compare(
      'Workload API fetches',
      () => fetchesPerSecond(fetchOne, 1),
      go === undefined ? undefined : () => askGo('bench-fetch'),
    ),
    await compare(`Workload API fetches, ${CONCURRENT_FETCHES} at once`, () =>
      fetchesPerSecond(fetchOne, CONCURRENT_FETCHES),
    ),
  ]
  console.log(`per second, median of ${ROUNDS} rounds of ${ROUND_SECONDS} s each\n`)
  console.log(formatTable(['', 'hallpass', 'go-spiffe', 'ratio'], rows))
  client.close()
  await api.close()
  if (go) rmSync(dirname(go), { recursive: true })
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

async function fetchesPerSecond(fetchOne: () => Promise<unknown>, atOnce: number): Promise<number> {
  const started = performance.now()
  let count = 0
  const loop = async () => {
    while (performance.now() - started < ROUND_SECONDS * 1000) {
      await fetchOne()
      count += 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, loop))
  return (count * 1000) / (performance.now() - started)
}
