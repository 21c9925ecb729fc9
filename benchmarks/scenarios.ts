import { startTestSuite } from '../scripts/test-suite.ts'
import { type LoadResult, load } from './load.ts'
import { formatTable, median } from './table.ts'

/** Requests in flight, as in the reference implementation's published figures. */
const CONNECTIONS = 32
const ROUNDS = 5
const ROUND_MS = 2_000
/** Warm-up, so that hot functions are compiled before measuring. */
const WARM_UP_MS = 1_500
/** Calls of each scenario that must all be answered correctly. */
const CORRECT_CALLS = 10_000

interface Target {
  readonly name: string
  readonly url: string
  readonly method?: 'GET' | 'POST'
  readonly body?: string
  readonly expect: string
}

/**
 * Measures requests per second and latency of issuing, verifying and scenarios 1–4, and checks that 10,000 valid calls of
 * each scenario are answered correctly. With `REFERENCE_FACTORY` and `REFERENCE_SERVICE_A` (base URLs of another
 * implementation of the same endpoints), both run in alternating rounds, and the ratio is printed.
 */
export async function run(root: string): Promise<void> {
  const suite = await startTestSuite(root, {
    only: ['jwt-factory', 'service-a', 'service-b', 'service-c'],
    env: { LOG_LEVEL: 'info' },
  })
  try {
    const ours = await targets(suite.url('jwt-factory'), suite.url('service-a'))
    const { REFERENCE_FACTORY, REFERENCE_SERVICE_A } = process.env
    const theirs =
      REFERENCE_FACTORY && REFERENCE_SERVICE_A
        ? await targets(REFERENCE_FACTORY, REFERENCE_SERVICE_A)
        : undefined
    const rows: string[][] = []
    for (const [index, target] of ours.entries()) rows.push(await compare(target, theirs?.[index]))
    console.log(`${CONNECTIONS} connections, median of ${ROUNDS} rounds of ${ROUND_MS / 1000} s each\n`)
    console.log(
      formatTable(
        ['', 'req/s', 'p50 ms', 'p99 ms', ...(theirs ? ['reference', 'p50 ms', 'p99 ms', 'ratio'] : [])],
        rows,
      ),
    )
    console.log()
    for (const target of ours.slice(2)) {
      const result = await load({ ...target, connections: CONNECTIONS, requests: CORRECT_CALLS })
      console.log(`${target.name}: ${result.answers} correct responses, ${result.failures} failures`)
      if (result.failures > 0) process.exitCode = 1
    }
  } finally {
    await suite.stop()
  }
}

async function compare(ours: Target, theirs: Target | undefined): Promise<string[]> {
  const results: { ours: LoadResult[]; theirs: LoadResult[] } = { ours: [], theirs: [] }
  const measure = (target: Target, milliseconds: number) =>
    load({ ...target, connections: CONNECTIONS, milliseconds })
  await measure(ours, WARM_UP_MS)
  if (theirs) await measure(theirs, WARM_UP_MS)
  for (let round = 0; round < ROUNDS; round += 1) {
    results.ours.push(await measure(ours, ROUND_MS))
    if (theirs) results.theirs.push(await measure(theirs, ROUND_MS))
  }
  const figure = (key: 'perSecond' | 'p50' | 'p99', of: LoadResult[]) =>
    median(of.map((result) => result[key]))
  const cells = (of: LoadResult[]) => [
    figure('perSecond', of).toFixed(0),
    figure('p50', of).toFixed(1),
    figure('p99', of).toFixed(1),
  ]
  const ratios = results.theirs.map(
    ({ perSecond }, round) => (results.ours[round]?.perSecond ?? 0) / perSecond,
  )
  return [
    ours.name,
    ...cells(results.ours),
    ...(theirs ? [...cells(results.theirs), `${median(ratios).toFixed(1)}x`] : []),
  ]
}

async function targets(factory: string, serviceA: string): Promise<Target[]> {
  const claims = JSON.stringify({ sub: 'servicea', aud: 'serviceb' })
  const headers = { 'content-type': 'application/json' }
  const issued = await fetch(`${factory}/issueToken/servicea`, { method: 'POST', headers, body: claims })
  if (!issued.ok)
    throw new Error(`${factory}/issueToken/servicea answered ${issued.status}: ${await issued.text()}`)
  const token = await issued.text()
  return [
    { name: 'issue', url: `${factory}/issueToken/servicea`, method: 'POST', body: claims, expect: 'eyJ' },
    {
      name: 'verify',
      url: `${factory}/verify/servicea`,
      method: 'POST',
      body: JSON.stringify({ token, aud: 'serviceb', sub: 'servicea' }),
      expect: '"valid":true',
    },
    ...[1, 2, 3, 4].map((scenario) => ({
      name: `scenario ${scenario}`,
      url: `${serviceA}/scenario${scenario}`,
      expect: '"valid":true',
    })),
  ]
}
