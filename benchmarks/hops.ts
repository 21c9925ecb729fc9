import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { load } from './load.ts'
import { formatTable, median } from './table.ts'

/** As in the benchmark of the scenarios. */
const CONNECTIONS = 32
/** A machine's speed varies over seconds; many short alternating rounds expose both sides to it equally. */
const ROUNDS = 16
const ROUND_MS = 1_000
const WARM_UP_MS = 1_500
/** The maximum cost of hop events in percent of throughput. */
const MOST_PERCENT = 3

/**
 * Measures the cost of hop events: requests per second of scenario 1, alternately with hop events streamed to a reader and
 * without. Also checks that no request is lost when the SSE server is killed during the run.
 */
export async function run(root: string): Promise<void> {
  const only = ['jwt-factory', 'service-a', 'service-b']
  const reporting = await startTestSuite(root, { only: [...only, 'sse-server'] })
  const silent = await startTestSuite(root, { only, tellHops: false })
  const reader = readHops(reporting)
  try {
    const measure = (suite: TestSuite, milliseconds = ROUND_MS) =>
      load({
        url: `${suite.url('service-a')}/scenario1`,
        connections: CONNECTIONS,
        milliseconds,
        expect: '"valid":true',
      })
    for (const suite of [reporting, silent]) await measure(suite, WARM_UP_MS)
    const rounds = { reporting: [] as number[], silent: [] as number[] }
    const cpu = { reporting: [] as number[], silent: [] as number[] }
    let failures = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      // The order alternates, too.
      const order = round % 2 === 0 ? (['reporting', 'silent'] as const) : (['silent', 'reporting'] as const)
      for (const side of order) {
        const suite = side === 'reporting' ? reporting : silent
        const before = cpuTicks(suite, only)
        const result = await measure(suite)
        rounds[side].push(result.perSecond)
        cpu[side].push((10_000 * (cpuTicks(suite, only) - before)) / result.answers)
        failures += result.failures
      }
    }
    const costs = cpu.reporting.map((spent, round) => spent / (cpu.silent[round] as number))
    const ratios = rounds.reporting.map((perSecond, round) => perSecond / (rounds.silent[round] as number))
    const cost = (1 - median(ratios)) * 100
    console.log(
      `scenario 1, ${CONNECTIONS} connections, median of ${ROUNDS} rounds of ${ROUND_MS / 1000} s, alternating\n`,
    )
    console.log(
      formatTable(
        ['', 'req/s', 'CPU µs per request'],
        [
          ['without hop events', median(rounds.silent).toFixed(0), median(cpu.silent).toFixed(0)],
          ['with hop events', median(rounds.reporting).toFixed(0), median(cpu.reporting).toFixed(0)],
        ],
      ),
    )
    console.log(
      `\nhop events cost ${cost.toFixed(1)}% of the requests (at most ${MOST_PERCENT}%), ` +
        `and ${((median(costs) - 1) * 100).toFixed(1)}% more CPU per request; ${reader.count()} hops were read`,
    )

    const under = measure(reporting, 3 * ROUND_MS)
    await reporting.launcher.restart(
      'sse-server',
      () => new Promise((resolve) => setTimeout(resolve, ROUND_MS)),
    )
    const killed = await under
    console.log(
      `SSE server killed under load: ${killed.answers} successful calls, ${killed.failures + failures} lost`,
    )
    if (cost > MOST_PERCENT || killed.failures + failures > 0) process.exitCode = 1
  } finally {
    reader.stop()
    await Promise.all([reporting.stop(), silent.stop()])
  }
}

/** Reads the hop events, as the explorer does. */
function readHops(suite: TestSuite) {
  let hops = 0
  const request = get(`${suite.url('sse-server', 'HTTP_PORT')}/topics/hops`, (answer) => {
    answer.setEncoding('utf8').on('data', (text: string) => {
      hops += text.split('event:hop').length - 1
    })
    answer.on('error', () => {})
  })
  request.on('error', () => {})
  return { count: () => hops, stop: () => request.destroy() }
}

/** Returns the CPU time of the processes in hundredths of a second (proc(5): utime and stime); 0 without /proc. */
function cpuTicks(suite: TestSuite, names: readonly string[]): number {
  return names.reduce((sum, name) => {
    try {
      const fields =
        readFileSync(`/proc/${suite.launcher.pid(name)}/stat`, 'utf8')
          .split(') ')[1]
          ?.split(' ') ?? []
      return sum + Number(fields[11]) + Number(fields[12])
    } catch {
      return sum
    }
  }, 0)
}
