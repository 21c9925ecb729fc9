import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, loadConfig } from '@hallpass/jwt-factory/app'
import { silentLog } from '@hallpass/service-kit'
import { keyEncryptionFromFile, named, wrappedSigners } from '@hallpass/signers'
import { LmdbStore } from '@hallpass/token-store'
import { generateSigningKey, type SigningKey } from '@hallpass/tokens'
import { KeyRing, newKey } from '../jwt-factory/src/keys/key-ring.ts'
import { formatTable } from './table.ts'

const COUNTS = (process.env.KEY_IDS ?? '10,1000,10000').split(',').map(Number)
/** RSA pairs take a tenth of a second each; their number changes nothing that is measured, their envelopes do. */
const PAIRS = 20
const TOKENS = 3_000
const AT_ONCE = 8

/**
 * Starts an issuer with few and with many key IDs, each with an RSA key in the store, and gets tokens of random key IDs.
 * Measures the start, the memory and the latency.
 */
export async function run(): Promise<void> {
  const pairs = await Promise.all(Array.from({ length: PAIRS }, () => generateSigningKey('RS256')))
  const rows: string[][] = []
  for (const count of COUNTS) rows.push(await measure(count, pairs))
  console.log(
    formatTable(
      ['key IDs', 'start', 'memory', 'memory after tokens', 'p50', 'p99', 'tokens per second'],
      rows,
    ),
  )
}

async function measure(count: number, pairs: readonly SigningKey[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'key-ids-'))
  try {
    await fill(folder, count, pairs)
    global.gc?.()
    const before = process.memoryUsage().rss
    const started = performance.now()
    const service = await createApp(loadConfig({ PORT: '0', STATE_FOLDER: folder }), silentLog)
    const { http } = await service.start()
    const startMs = performance.now() - started
    const memory = process.memoryUsage().rss - before
    const begun = performance.now()
    const latencies = await issue(http as string, count)
    const seconds = (performance.now() - begun) / 1000
    const after = process.memoryUsage().rss - before
    await service.stop()
    const at = (share: number) => `${(latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1)} ms`
    return [
      String(count),
      `${Math.round(startMs)} ms`,
      megabytes(memory),
      megabytes(after),
      at(0.5),
      at(0.99),
      String(Math.round(TOKENS / seconds)),
    ]
  } finally {
    await rm(folder, { recursive: true })
  }
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
  let left = TOKENS
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
  return latencies.sort((a, b) => a - b)
}

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`
