import cluster from 'node:cluster'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { openSigners, type SignersConfig } from '@hallpass/signers'
import {
  hasMoto,
  hasSoftHsm,
  MOTO_CREDENTIALS,
  Moto,
  SoftHsm,
  usePeerModules,
} from '@hallpass/signers/testing'
import { ALGORITHMS, type Algorithm, type Signer, type SigningKey, signToken } from '@hallpass/tokens'
import { formatTable, median } from './table.ts'

/** Enough to keep the thread pool and all sessions busy. */
const IN_FLIGHT = 16
const ROUNDS = 5
const ROUND_MS = 400
const WORKERS = 2

const claims = { iss: 'https://jwt-factory/', aud: 'serviceb', sub: 'servicea' }

interface Task {
  readonly config: SignersConfig
  readonly reference: string
  readonly algorithm: Algorithm
  readonly kid: string
}

interface Figures {
  readonly perSecond: number
  /** Of all threads of the process. */
  readonly cpuMicroseconds: number
  readonly eventLoopP99Ms: number
}

/**
 * Measures tokens per second with keys in each place, in one process and in two of `node:cluster` at the same time. AWS KMS is
 * moto on this machine: it shows what the SDK costs, and not how fast AWS is.
 */
export async function run(root: string): Promise<void> {
  console.log(`${IN_FLIGHT} in flight per process, median of ${ROUNDS} rounds of ${ROUND_MS} ms\n`)
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-bench-signers-'))
  const rows = await measureAll('wrapped', root, {
    signer: 'wrapped',
    keyEncryption: { file: join(folder, 'key-encryption.key'), create: true },
  })
  await rm(folder, { recursive: true })
  usePeerModules()
  if (hasSoftHsm()) {
    const hsm = await SoftHsm.create()
    rows.push(...(await measureAll('PKCS#11 (SoftHSM)', root, { signer: 'pkcs11', ...hsm.options })))
    await hsm.remove()
  } else
    console.log('PKCS#11 is not measured: SoftHSM or pkcs11js is not installed (.ci/install-peers quick)')
  if (hasMoto()) {
    Object.assign(process.env, MOTO_CREDENTIALS)
    const moto = await Moto.start()
    const kms: SignersConfig = { signer: 'aws-kms', ...moto.options, deletionDays: 7 }
    rows.push(...(await measureAll('AWS KMS (moto)', root, kms, ['RS256', 'ES256'])))
    await moto.kill()
  } else console.log('AWS KMS is not measured: moto or the SDK is not installed (.ci/install-peers quick)')
  const header = [
    '',
    'one process',
    `${WORKERS} of node:cluster`,
    'ratio',
    'CPU µs per token',
    'event loop p99 ms',
  ]
  console.log(formatTable(header, rows))
}

async function measureAll(
  name: string,
  root: string,
  config: SignersConfig,
  algorithms: readonly Algorithm[] = ALGORITHMS,
): Promise<string[][]> {
  const signers = await openSigners(config)
  const rows: string[][] = []
  for (const algorithm of algorithms) {
    const { key, reference } = await signers.create(algorithm, 'servicea')
    const alone = await measure(key)
    const together = await measureCluster(root, { config, reference, algorithm, kid: key.kid })
    rows.push([
      `${name}, ${algorithm}`,
      alone.perSecond.toFixed(0),
      together.toFixed(0),
      (together / alone.perSecond).toFixed(2),
      alone.cpuMicroseconds.toFixed(0),
      alone.eventLoopP99Ms.toFixed(1),
    ])
    await signers.destroy(reference)
  }
  await signers.close()
  return rows
}

async function measure(key: SigningKey | Signer): Promise<Figures> {
  const rates: number[] = []
  await round(key)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const before = process.cpuUsage()
  let tokens = 0
  for (let index = 0; index < ROUNDS; index += 1) {
    const { done, seconds } = await round(key)
    rates.push(done / seconds)
    tokens += done
  }
  const { user, system } = process.cpuUsage(before)
  delay.disable()
  return {
    perSecond: median(rates),
    cpuMicroseconds: (user + system) / tokens,
    eventLoopP99Ms: delay.percentile(99) / 1e6,
  }
}

async function round(key: SigningKey | Signer) {
  let done = 0
  const start = performance.now()
  const one = async () => {
    while (performance.now() - start < ROUND_MS) {
      await signToken(claims, key, { lifetimeSeconds: 60 })
      done += 1
      // As between two requests: other events of the process get their turn.
      if (done % IN_FLIGHT === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, one))
  return { done, seconds: (performance.now() - start) / 1000 }
}

/** Returns the tokens per second of all workers together. */
async function measureCluster(root: string, task: Task): Promise<number> {
  cluster.setupPrimary({
    exec: join(root, '.hallpass/bundles/bench-signers.cjs'),
    args: [JSON.stringify(task)],
  })
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  // All have opened their key before one begins.
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  for (const worker of workers) worker.send('begin')
  const results = await Promise.all(workers.map((worker) => once(worker, 'message')))
  for (const worker of workers) worker.disconnect()
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  return results.reduce((sum, [perSecond]) => sum + (perSecond as number), 0)
}

async function work() {
  const { config, reference, algorithm, kid } = JSON.parse(process.argv[2] as string) as Task
  const signers = await openSigners(config)
  const key = await signers.open(reference, algorithm, kid)
  process.send?.('ready')
  await once(process, 'message')
  process.send?.((await measure(key)).perSecond)
  await signers.close()
}

if (cluster.isWorker) void work()
