import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { LmdbStore } from './store.ts'

describe('an lmdb store whose writers are killed', () => {
  it('opens without errors and with intact entries, for surviving and new processes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lmdb-crash-'))
    const staying = new LmdbStore({ folder })
    await staying.open()
    try {
      // The others keep writing while one is killed; after the last one, no process is left to clean up.
      const writers = await Promise.all([startWriter(folder), startWriter(folder), startWriter(folder)])
      for (const [round, writer] of writers.entries()) {
        await new Promise((resolve) => setTimeout(resolve, 100 + 70 * round))
        writer.kill('SIGKILL')
        await once(writer, 'exit')
        expect(await wholeEntries(staying)).toBeGreaterThan(0)
        expect(await staying.zone('tokens').replace(`after${round}`, undefined, whole(`after${round}`))).toBe(
          true,
        )
        const coming = new LmdbStore({ folder })
        await coming.open()
        expect(await wholeEntries(coming)).toBeGreaterThan(0)
        await coming.close()
      }
    } finally {
      await staying.close()
      await rm(folder, { recursive: true })
    }
  }, 60_000)
})

async function startWriter(folder: string): Promise<ChildProcess> {
  const script = join(import.meta.dirname, '../testing/run-writer.ts')
  const writer = spawn(process.execPath, ['--import', 'tsx', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(writer.stdout as NodeJS.ReadableStream, 'data')
  return writer
}

const whole = (key: string) => ({ value: key.repeat(100), endsAt: Date.now() + 60_000 })

async function wholeEntries(store: LmdbStore): Promise<number> {
  let count = 0
  for await (const [key, { value }] of store.zone('tokens').entries()) {
    expect(value).toBe(key.repeat(100))
    count += 1
  }
  return count
}
