import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import { openRawStreams } from '../sse-fan-out/raw-streams.ts'

/** The message from the benchmark to this process. */
export interface Command {
  readonly origin: string
  readonly tokens: readonly string[]
  readonly caFile: string
  readonly streams: number
  readonly streamsPerConnection: number
  /** When every stream ends, in milliseconds since the epoch. */
  readonly expiresAt: number
}

/** The message from this process to the benchmark. */
export interface Report {
  /** How many milliseconds after the expiry each stream ended; negative: before it. */
  readonly lateness: readonly number[]
  /** The latencies of `GET /healthz` while streams ended, in milliseconds. */
  readonly others: readonly number[]
}

/** The time between two requests on the other connection. */
const PAUSE_MS = 2
/** A stream that has not ended by then is left out. */
const PATIENCE_MS = 15_000

async function measure({ origin, expiresAt, ...command }: Command): Promise<Report> {
  const lateness: number[] = []
  let allEnded = () => {}
  const ended = new Promise<void>((resolve) => {
    allEnded = resolve
  })
  const connections = await openRawStreams({
    ...command,
    url: `${origin}/events`,
    onBytes: () => {},
    onEnd: () => {
      lateness.push(Date.now() - expiresAt)
      if (lateness.length === command.streams) allEnded()
    },
  })
  const session = http2.connect(origin, { ca: readFileSync(command.caFile) })
  session.on('error', () => {})
  const others: number[] = []
  let over = false
  const asking = (async () => {
    await until(expiresAt)
    while (!over) {
      others.push(await timeOfRequest(session))
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  })()
  await Promise.race([ended, until(expiresAt + PATIENCE_MS)])
  over = true
  await asking
  session.destroy()
  connections.close()
  return { lateness, others }
}

const until = (time: number) => new Promise<void>((resolve) => setTimeout(resolve, time - Date.now()))

function timeOfRequest(session: http2.ClientHttp2Session): Promise<number> {
  const started = performance.now()
  return new Promise((resolve, reject) => {
    const request = session.request({ ':path': '/healthz' })
    request.once('error', reject)
    request.resume().once('end', () => resolve(performance.now() - started))
  })
}

process.on('message', async (command: Command) => {
  const report = await measure(command).catch((error: Error) => ({ failed: error.message }))
  process.send?.(report)
})
process.on('disconnect', () => process.exit(0))
