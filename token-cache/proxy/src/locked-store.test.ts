import { join } from 'node:path'
import { holdWriteLock } from '@hallpass/token-store/testing'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { startTier, type TestTier, until } from './testing/tier.ts'

/** A proxy has a second for a write, and the pages of the web UI wait 1.5 s for it. */
const ANSWER_LIMIT_MS = 1_500

describe('proxies beside a process that was stopped while it writes to their store', () => {
  let tier: TestTier
  beforeEach(async () => {
    tier = await startTier()
  })
  afterEach(() => tier.stop())

  it('answer with stored tokens, say who blocks the writes, and recover when that process ends', async () => {
    expect((await tier.get(0, 'ada')).status).toBe(200)
    const holder = await holdWriteLock(join(tier.folder, 'token-cache'))
    try {
      const problem = `Writes to the shared store are blocked (process ${holder.pid} (node) holds the write lock of ${tier.folder}/token-cache/store and was stopped: continue it (kill -CONT ${holder.pid}) or end it (kill -KILL ${holder.pid})).`
      await until(async () => (await tier.operate(1, '/readyz')).status === 503)
      for (const ask of [
        async () => {
          const response = await tier.operate(1, '/status')
          expect(await response.json()).toMatchObject({
            store: { available: true, problem, hearsOfChanges: true, entries: 1 },
            peers: [{ name: 'proxy1' }, { name: 'proxy2' }],
          })
        },
        async () => {
          const response = await tier.operate(1, '/readyz')
          expect(await response.json()).toEqual({ status: 'not ready', failed: { store: problem } })
        },
        // From the store: this proxy has no copy.
        async () => expect((await tier.get(1, 'ada')).status).toBe(200),
        async () => {
          const response = await tier.get(1, 'bob')
          expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
          expect(await response.json()).toMatchObject({ error: { code: 'store_unavailable' } })
        },
      ]) {
        const started = performance.now()
        await ask()
        expect(performance.now() - started).toBeLessThan(ANSWER_LIMIT_MS)
      }
    } finally {
      await holder.kill()
    }
    await until(async () => (await tier.get(1, 'bob')).status === 200)
    expect((await tier.operate(1, '/readyz')).status).toBe(200)
  }, 30_000)
})
