import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyEncryptionFromFile, named, wrappedSigners } from '@hallpass/signers'
import { LmdbStore } from '@hallpass/token-store'
import { generateSigningKey, type SigningKey } from '@hallpass/tokens'
import { KeyRing, newKey } from '../jwt-factory/src/keys/key-ring.ts'
import { plot } from './issuer-key-ids/plot.ts'
import { formatTable } from './table.ts'

const COUNTS = (process.env.KEY_IDS ?? '10,100,1000,10000').split(',').map(Number)
/** RSA pairs take a tenth of a second each; their number changes nothing that is measured, their envelopes do. */
const PAIRS = 20
/** The issuers get their tokens in turns, so that what else the machine does slows all of them. */
const ROUNDS = 24
const TOKENS_A_ROUND = 250
const AT_ONCE = 8
/** Not measured: the code is compiled, and the first keys are opened. */
const WARM_UP_ROUNDS = 4

interface Issuer {
  readonly count: number
  readonly folder: string
  readonly url: string
  readonly process: ChildProcess
  readonly startMs: number
  readonly startedMegabytes: number
  readonly latencies: number[]
}

/**
 * Starts issuers with few and with many key IDs, each with an RSA key in the store, and gets tokens of random key IDs from them
 * in turns. Measures the start, the memory and the latency. With `PLOT=file.svg`, also draws them.
 */
export async function run(root: string): Promise<void> {
  const pairs = await Promise.all(Array.from({ length: PAIRS }, () => generateSigningKey('RS256')))
  const issuers: Issuer[] = []
  try {
    for (const count of COUNTS) issuers.push(await start(root, count, pairs))
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1)
      for (const { count, url, latencies } of issuers) {
        const measured = await issue(url, count)
        if (round >= WARM_UP_ROUNDS) latencies.push(...measured)
      }
    const results = await Promise.all(
      issuers.map(async ({ count, startMs, startedMegabytes, process, latencies }) => {
        const sorted = latencies.sort((a, b) => a - b)
        const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
        return {
          count,
          startMs,
          startedMegabytes,
          megabytes: await residentMegabytes(process),
          p50: at(0.5),
          p99: at(0.99),
        }
      }),
    )
    console.log(
      formatTable(
        ['key IDs', 'start', 'memory', 'memory after tokens', 'p50', 'p99'],
        results.map(({ count, startMs, startedMegabytes, megabytes, p50, p99 }) => [
          String(count),
          `${Math.round(startMs)} ms`,
          `${Math.round(startedMegabytes)} MB`,
          `${Math.round(megabytes)} MB`,
          `${p50.toFixed(1)} ms`,
          `${p99.toFixed(1)} ms`,
        ]),
      ),
    )
    const [cpu] = cpus()
    const where = `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpu?.model.trim()}, Node ${process.version}`
    console.log(`\n${ROUNDS * TOKENS_A_ROUND} tokens each, ${AT_ONCE} at a time; ${where}`)
    if (process.env.PLOT) await writeFile(process.env.PLOT, plot(results, where))
  } finally {
    for (const { process, folder } of issuers) {
      const ended = once(process, 'exit')
      process.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true })
    }
  }
}

async function start(root: string, count: number, pairs: readonly SigningKey[]): Promise<Issuer> {
  const folder = await mkdtemp(join(tmpdir(), 'key-ids-'))
  await fill(folder, count, pairs)
  const started = performance.now()
  const child = spawn(process.execPath, [join(root, '.hallpass/bundles/jwt-factory.cjs')], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { PATH: process.env.PATH, PORT: '0', STATE_FOLDER: folder, LOG_LEVEL: 'silent' },
  })
  const [message] = await once(child, 'message')
  const { http: url } = (message as { ready: { http: string } }).ready
  const startMs = performance.now() - started
  const startedMegabytes = await residentMegabytes(child)
  return { count, folder, url, process: child, startMs, startedMegabytes, latencies: [] }
}

async function residentMegabytes({ pid }: ChildProcess): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) / 1024
}

async function fill(folder: string, count: number, pairs: readonly SigningKey[]): Promise<void> {
  const signers = wrappedSigners(
    await keyEncryptionFromFile(join(folder, 'key-encryption.key'), { create: true }),
  )
  const store = new LmdbStore({ folder: join(folder, 'issuer') })
  await store.open()
  const zone = store.zone('keys', { pinned: true })
  const now = Date.now()
  for (let start = 0; start < count; start += 500)
    await Promise.all(
      Array.from({ length: Math.min(500, count - start) }, async (_, index) => {
        const keyId = `service-${start + index}`
        const key = named(keyId, pairs[index % pairs.length] as SigningKey)
        const { reference } = await signers.importKey(key)
        const ring = new KeyRing(keyId, [newKey(key, 'signing', now, { signer: 'wrapped', reference })])
        await zone.replace(keyId, undefined, { value: ring.print(), endsAt: 253_402_300_799_000 })
      }),
    )
  await store.close()
}

async function issue(url: string, count: number): Promise<number[]> {
  const latencies: number[] = []
  let left = TOKENS_A_ROUND
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left > 0) {
        left -= 1
        const keyId = `service-${Math.floor(Math.random() * count)}`
        const asked = performance.now()
        const response = await fetch(`${url}/issueToken/${keyId}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"aud":"serviceb"}',
        })
        await response.text()
        if (response.status !== 200) throw new Error(`The issuer answered ${response.status}.`)
        latencies.push(performance.now() - asked)
      }
    }),
  )
  return latencies
}
