import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { StoreLockedError } from '../shared-store.ts'
import { holdWriteLock, type LockHoldingProcess } from '../testing/hold-lock.ts'
import { until } from '../testing/until.ts'
import { LmdbStore } from './store.ts'

/** The limit of a write, a second, and a tenth of a second of grace for the machine that runs the tests. */
const WRITE_LIMIT_MS = 1_500
/** A read takes microseconds; the limit is for a busy machine. */
const READ_LIMIT_MS = 500

describe('an lmdb store beside a process that was stopped while it writes', () => {
  let folder: string
  let store: LmdbStore
  const children: ChildProcess[] = []
  const holders: LockHoldingProcess[] = []
  const notices: string[] = []
  beforeEach(async () => {
    // A name in which a path of proc_pid_maps(5) is hard to read.
    folder = await mkdtemp(join(tmpdir(), 'lmdb freeze #1 (100%) '))
    notices.length = 0
    store = new LmdbStore({ folder, onNotice: (notice) => notices.push(notice) })
    await store.open()
    await store.zone('tokens').overrule('known', entry())
  })
  afterEach(async () => {
    for (const child of children.splice(0)) {
      const exited = once(child, 'exit')
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await exited
    }
    await Promise.all(holders.splice(0).map((holder) => holder.kill()))
    await store.close()
    await rm(folder, { recursive: true })
  })
  const entry = () => ({ value: 'v', endsAt: Date.now() + 60_000 })

  async function start(script: string, ...args: string[]): Promise<ChildProcess> {
    const path = join(import.meta.dirname, '../testing', script)
    const child = spawn(process.execPath, ['--import', 'tsx', path, folder, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.push(child)
    await once(child.stdout, 'data')
    return child
  }

  async function hold(how: 'stopped' | 'sleep' = 'stopped'): Promise<LockHoldingProcess> {
    const holder = await holdWriteLock(folder, how)
    holders.push(holder)
    if (how === 'stopped')
      await until(async () => store.check().then(no, (error) => error instanceof StoreLockedError))
    return holder
  }

  it('keeps its place among the readers when another process opens the store', async () => {
    const zone = store.zone('tokens')
    await zone.overrule('mine', entry())
    await start('run-writer.ts')
    // lmdb makes a new table of readers if it finds no lock of this process on the file.
    expect((await zone.get('mine'))?.value).toBe('v')
    await zone.overrule('mine', entry())
  })

  it('answers each read in microseconds and each write within a second, in fifty stops', async () => {
    const zone = store.zone('tokens')
    const writer = await start('run-writer.ts')
    let blocked = 0
    for (let round = 0; round < 50; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 30))
      writer.kill('SIGSTOP')
      const started = performance.now()
      const write = zone.overrule(`mine${round}`, entry()).then(
        () => undefined,
        (error: unknown) => error,
      )
      const lag = performance.now()
      expect((await zone.get('known'))?.value).toBe('v')
      expect(performance.now() - lag).toBeLessThan(READ_LIMIT_MS)
      const error = await write
      expect(performance.now() - started).toBeLessThan(WRITE_LIMIT_MS)
      expect(zone.isWatching()).toBe(true)
      if (error !== undefined) {
        blocked += 1
        expect(error).toBeInstanceOf(StoreLockedError)
      }
      writer.kill('SIGCONT')
      await until(() => zone.overrule('after', entry()).then(yes, no))
    }
    expect(blocked).toBeGreaterThan(0)
  }, 120_000)

  it('names the process and what to do, at once, and recovers when it continues or ends', async () => {
    const zone = store.zone('tokens')
    for (const end of ['SIGCONT', 'SIGKILL'] as const) {
      notices.length = 0
      const writer = await hold()
      const reason = `process ${writer.pid} (node) holds the write lock of ${folder}/store and was stopped: continue it (kill -CONT ${writer.pid}) or end it (kill -KILL ${writer.pid})`
      const started = performance.now()
      for (const write of [
        () => zone.replace('new', undefined, entry()),
        () => zone.overrule('new', entry()),
        () => zone.announce('new'),
        () => zone.lease('new', 1_000),
        () => zone.clear(),
        () => store.check(),
      ])
        await expect(write()).rejects.toThrow(new StoreLockedError(reason))
      expect(performance.now() - started).toBeLessThan(READ_LIMIT_MS)
      expect(await zone.get('new')).toBeUndefined()
      expect(notices).toEqual([`writes to the store are blocked: ${reason}; reads continue`])
      if (end === 'SIGCONT') writer.release()
      else await writer.kill()
      await until(() => store.check().then(yes, no))
      expect(notices.slice(1)).toEqual(['writes to the store continue'])
      await zone.overrule('after', entry())
      expect(await zone.get('new')).toBeUndefined()
    }
  }, 60_000)

  it('starts as soon as that process continues, and opens a zone then', async () => {
    const writer = await hold()
    const later = store.zone('later')
    await expect(later.get('k')).rejects.toThrow('not available')
    const coming = start('run-closer.ts')
    expect(await Promise.race([coming, new Promise((resolve) => setTimeout(resolve, 2_000, 'waits'))])).toBe(
      'waits',
    )
    writer.release()
    await coming
    await until(() => later.get('k').then(yes, no))
  }, 60_000)

  it('refuses to start after five seconds, naming the process', async () => {
    const holder = await hold()
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', join(import.meta.dirname, '../testing/run-closer.ts'), folder],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    children.push(child)
    let errors = ''
    child.stderr.on('data', (chunk) => {
      errors += chunk
    })
    expect(await once(child, 'exit')).toEqual([1, null])
    expect(errors).toContain(
      `StoreLockedError: Writes to the shared store are blocked (process ${holder.pid} (node) holds`,
    )
  }, 60_000)

  it('gives up a write after a second if the process only takes long, commits it later, and tries no other', async () => {
    const zone = store.zone('tokens')
    const holder = await hold('sleep')
    const reason = `process ${holder.pid} (node) holds the write lock of ${folder}/store`
    const started = performance.now()
    await expect(zone.replace('late', undefined, entry())).rejects.toThrow(new StoreLockedError(reason))
    expect(performance.now() - started).toBeLessThan(WRITE_LIMIT_MS)
    const next = performance.now()
    await expect(zone.replace('never', undefined, entry())).rejects.toThrow(new StoreLockedError(reason))
    expect(performance.now() - next).toBeLessThan(READ_LIMIT_MS)
    await holder.kill()
    await until(() => zone.get('late'))
    await until(() => store.check().then(yes, no))
    expect(await zone.get('never')).toBeUndefined()
  }, 60_000)

  it('notifies the others again of a change that was committed late', async () => {
    const zone = store.zone('tokens')
    const heard: unknown[] = []
    zone.watch((change) => heard.push(change))
    const holder = await hold('sleep')
    await expect(zone.overrule('late', entry())).rejects.toThrow(StoreLockedError)
    // More than half of the two seconds for which the others look back.
    await new Promise((resolve) => setTimeout(resolve, 500))
    await holder.kill()
    // Another write may be the first to notice that writes are possible again.
    await until(async () => store.check().then(yes, no))
    await until(async () => heard.length >= 2).catch(() => {})
    expect(heard).toEqual([{ key: 'late' }, { key: 'late' }])
  }, 60_000)

  it('ends within three seconds although its write waits', async () => {
    const closer = await start('run-closer.ts')
    await hold('sleep')
    let output = ''
    closer.stdout?.on('data', (chunk) => {
      output += chunk
    })
    closer.stdin?.write('.')
    await until(async () => output === 'StoreLockedError\n')
    const started = performance.now()
    closer.stdin?.end()
    await once(closer, 'exit')
    expect(output).toContain('closed')
    expect(performance.now() - started).toBeLessThan(3_000)
  }, 60_000)
})

const yes = () => true
const no = () => false
