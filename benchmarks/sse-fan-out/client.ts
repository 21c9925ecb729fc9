import http from 'node:http'
import net from 'node:net'
import { MarkFinder, markedData, now, readStamp } from './event-marks.ts'
import { openRawStreams, type RawStreamsOptions } from './raw-streams.ts'

/** A message from the benchmark to this process. */
export type Command =
  | ({
      readonly do: 'open'
      readonly publishUrl: string
    } & Omit<RawStreamsOptions, 'onBytes'>)
  | { readonly do: 'measure'; readonly milliseconds: number; readonly inFlight: number }

/** A message from this process to the benchmark. */
export type Report =
  | { readonly done: 'open'; readonly milliseconds: number }
  | ({ readonly done: 'measure' } & Measurement)
  | { readonly done: 'failed'; readonly message: string }

export interface Measurement {
  readonly deliveries: number
  readonly events: number
  readonly milliseconds: number
  /** Time from just before publishing an event to its arrival, in milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly missing: number
}

/** Latencies are recorded for one in this many streams: sorting millions would disturb the measurement. */
const SAMPLED = 16
/** An event that has not arrived everywhere by then counts as lost. */
const PATIENCE_MS = 5_000

const agent = new http.Agent({ keepAlive: true })
let target: Extract<Command, { do: 'open' }>
let publisher: net.Socket | undefined
let sequence = 0
let deliveries = 0
let latencies: number[] = []
/** The number of streams that are still waiting for an event. */
const waiting = new Map<number, { left: number; resolve: () => void }>()

async function open(command: Extract<Command, { do: 'open' }>): Promise<Report> {
  target = command
  const finders = Array.from({ length: command.streams }, () => new MarkFinder())
  const started = performance.now()
  await openRawStreams({
    ...command,
    onBytes: (stream, bytes) =>
      (finders[stream] as MarkFinder).find(bytes, (found, from, stampAt) => {
        deliveries += 1
        if (stream % SAMPLED === 0) latencies.push(now() - readStamp(from, stampAt))
        const event = waiting.get(found)
        if (event === undefined) return
        event.left -= 1
        if (event.left === 0) event.resolve()
      }),
  })
  return { done: 'open', milliseconds: performance.now() - started }
}

async function measure({ milliseconds, inFlight }: Extract<Command, { do: 'measure' }>): Promise<Report> {
  deliveries = 0
  latencies = []
  const first = sequence
  let missing = 0
  const started = performance.now()
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() - started < milliseconds) missing += await deliverOne()
    }),
  )
  const took = performance.now() - started
  latencies.sort((a, b) => a - b)
  const at = (share: number) => (latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN) / 1000
  return {
    done: 'measure',
    deliveries,
    events: sequence - first,
    milliseconds: took,
    p50: at(0.5),
    p99: at(0.99),
    missing,
  }
}

/** Publishes one event and waits until every stream has it. Returns the number of streams that did not get it. */
async function deliverOne(): Promise<number> {
  sequence += 1
  const mine = sequence
  const event = { left: target.streams, resolve: () => {} }
  const delivered = new Promise<void>((resolve) => {
    event.resolve = resolve
  })
  waiting.set(mine, event)
  await publish(markedData(mine))
  let timer: NodeJS.Timeout | undefined
  await Promise.race([
    delivered,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS)
    }),
  ])
  clearTimeout(timer)
  waiting.delete(mine)
  return event.left
}

function publish(data: string): Promise<void> {
  return target.publishUrl.startsWith('tcp:') ? publishLine(JSON.stringify({ data })) : publishText(data)
}

/** Any response is an error. */
function publishLine(line: string): Promise<void> {
  const { hostname, port } = new URL(target.publishUrl)
  publisher ??= net
    .connect(Number(port), hostname)
    .setNoDelay(true)
    .once('data', (answer: Buffer) => {
      throw new Error(`Publishing failed: ${answer.toString()}.`)
    })
  const socket = publisher
  return new Promise((resolve, reject) =>
    socket.write(`${line}\n`, (error) => (error ? reject(error) : resolve())),
  )
}

function publishText(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      target.publishUrl,
      {
        agent,
        method: 'POST',
        headers: { 'content-type': 'text/plain', 'content-length': text.length },
      },
      (response) => {
        response.resume()
        if ((response.statusCode ?? 500) >= 300)
          reject(new Error(`Publishing failed with status ${response.statusCode}.`))
        else response.once('end', resolve)
      },
    )
    request.once('error', reject).end(text)
  })
}

process.on('message', async (command: Command) => {
  const report = await (command.do === 'open' ? open(command) : measure(command)).catch(
    (error: Error): Report => ({ done: 'failed', message: error.message }),
  )
  process.send?.(report)
})
process.on('disconnect', () => process.exit(0))
