import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command, Measurement, Report } from './sse-fan-out/client.ts'
import { type Contestant, nchanIsMissing, startGateway, startNchan } from './sse-fan-out/contestants.ts'
import { formatTable, median } from './table.ts'

interface Course {
  readonly streams: number
  /** Streams per HTTP/2 connection: 0 means HTTP/1.1, 1 is a browser with one page, 100 a proxy or a page with many streams. */
  readonly streamsPerConnection: number
  readonly rounds: number
}

const COURSES: readonly Course[] = [
  { streams: 1_000, streamsPerConnection: 100, rounds: 2 },
  { streams: 1_000, streamsPerConnection: 1, rounds: 2 },
  { streams: 1_000, streamsPerConnection: 0, rounds: 2 },
  { streams: 10_000, streamsPerConnection: 100, rounds: 2 },
  // Ten thousand handshakes take long.
  { streams: 10_000, streamsPerConnection: 0, rounds: 1 },
]
/** Events in flight: one shows latency, eight show the effect of batched writes. */
const IN_FLIGHT = [1, 8] as const
const MEASURE_MS = 2_000
const WARM_UP_MS = 700
/** The time limit for opening all streams, and for a measurement. */
const PATIENCE_MS = 90_000

interface Result extends Measurement {
  readonly cpuMicroseconds: number
}

interface Round {
  readonly openMs: number
  readonly kilobytesPerStream: number
  readonly results: ReadonlyMap<number, Result>
}

/**
 * Measures event fan-out over TLS: this gateway, which verifies a token for each stream and closes it at expiry, compared
 * with nginx and nchan, which require no token. Same client, same machine, alternating, with fresh processes per round.
 */
export async function run(root: string): Promise<void> {
  const missing = nchanIsMissing()
  if (missing) console.log(`nginx + nchan is left out: ${missing}\n`)
  const starts = [() => startGateway(root), ...(missing ? [] : [startNchan])]
  console.log(
    `Deliveries of 200-byte events over TLS, rounds of ${MEASURE_MS / 1000} s; CPU and memory of all server processes.\n`,
  )
  for (const course of COURSES) {
    const rounds = new Map<string, Round[]>()
    for (let round = 0; round < course.rounds; round += 1)
      for (const start of starts) {
        const contestant = await start()
        try {
          const results = rounds.get(contestant.name) ?? []
          results.push(await race(root, contestant, course))
          rounds.set(contestant.name, results)
        } finally {
          await contestant.stop()
        }
      }
    print(course, rounds)
  }
}

async function race(root: string, contestant: Contestant, course: Course): Promise<Round> {
  const { publishUrl, streamUrl: url, tokens, caFile } = contestant
  const client = fork(join(root, 'benchmarks/sse-fan-out/client.ts'), {
    cwd: root,
    execArgv: ['--import', 'tsx'],
    serialization: 'json',
  })
  try {
    const pids = await contestant.pids()
    const before = await memoryKilobytes(pids)
    const open = await ask(client, { do: 'open', publishUrl, url, tokens, caFile, ...course })
    await ask(client, { do: 'measure', milliseconds: WARM_UP_MS, inFlight: 1 })
    const results = new Map<number, Result>()
    for (const inFlight of IN_FLIGHT) {
      const cpuBefore = await cpuMicroseconds(pids)
      const report = await ask(client, { do: 'measure', milliseconds: MEASURE_MS, inFlight })
      const cpu = (await cpuMicroseconds(pids)) - cpuBefore
      results.set(inFlight, { ...(report as Report & { done: 'measure' }), cpuMicroseconds: cpu })
    }
    return {
      openMs: (open as Report & { done: 'open' }).milliseconds,
      kilobytesPerStream: ((await memoryKilobytes(pids)) - before) / course.streams,
      results,
    }
  } finally {
    if (client.connected) client.disconnect()
    if (client.exitCode === null) await once(client, 'exit')
  }
}

async function ask(client: ChildProcess, command: Command): Promise<Report> {
  client.send(command)
  const [report] = (await once(client, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) })) as [Report]
  if (report.done === 'failed') throw new Error(report.message)
  return report
}

/** Returns the user and system time of the processes; Linux counts in ticks of 10 ms. */
async function cpuMicroseconds(pids: readonly number[]): Promise<number> {
  let ticks = 0
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks * 10_000
}

/** Returns the memory of the processes; shared pages count once. */
async function memoryKilobytes(pids: readonly number[]): Promise<number> {
  let kilobytes = 0
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1])
  }
  return kilobytes
}

function print(
  { streams, streamsPerConnection, rounds: count }: Course,
  rounds: ReadonlyMap<string, readonly Round[]>,
) {
  const protocol =
    streamsPerConnection === 0
      ? 'HTTP/1.1'
      : `HTTP/2, ${streamsPerConnection} ${streamsPerConnection === 1 ? 'stream' : 'streams'} per connection`
  console.log(
    `${streams.toLocaleString('en')} streams, ${protocol}, median of ${count} ${count === 1 ? 'round' : 'rounds'}\n`,
  )
  const rows: string[][] = []
  for (const [name, all] of rounds)
    for (const inFlight of IN_FLIGHT) {
      const of = (figure: (result: Result) => number) =>
        median(all.map(({ results }) => figure(results.get(inFlight) as Result)))
      const missing = all.reduce((sum, { results }) => sum + (results.get(inFlight)?.missing ?? 0), 0)
      rows.push([
        `${name}, ${inFlight} in flight`,
        of(perSecond).toFixed(0),
        of(cpuPerDelivery).toFixed(2),
        of(({ p50 }) => p50).toFixed(1),
        of(({ p99 }) => p99).toFixed(1),
        median(all.map(({ kilobytesPerStream }) => kilobytesPerStream)).toFixed(1),
        median(all.map(({ openMs }) => openMs)).toFixed(0),
        `${missing}`,
      ])
    }
  console.log(
    formatTable(
      ['', 'deliveries/s', 'CPU µs/delivery', 'p50 ms', 'p99 ms', 'KB/stream', 'open ms', 'lost'],
      rows,
    ),
  )
  const [ours, theirs] = [...rounds.values()]
  if (ours && theirs) for (const inFlight of IN_FLIGHT) console.log(ratioLine(ours, theirs, inFlight))
  console.log()
}

const perSecond = ({ deliveries, milliseconds }: Result) => (deliveries / milliseconds) * 1000
const cpuPerDelivery = ({ cpuMicroseconds: cpu, deliveries }: Result) => cpu / deliveries

/** Compares the sides round by round, so that other load on the machine affects both. */
function ratioLine(ours: readonly Round[], theirs: readonly Round[], inFlight: number): string {
  const ratio = (figure: (result: Result) => number) =>
    median(
      ours.map(({ results }, round) => {
        const their = theirs[round]?.results.get(inFlight)
        return their ? figure(results.get(inFlight) as Result) / figure(their) : Number.NaN
      }),
    )
  return `${inFlight} in flight: ${ratio(perSecond).toFixed(2)} × nchan's deliveries/s, ${(1 / ratio(cpuPerDelivery)).toFixed(2)} × its deliveries per second of CPU`
}
