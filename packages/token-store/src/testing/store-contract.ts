import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import {
  type Change,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  type SharedStore,
  type Zone,
  type ZoneOptions,
} from '../shared-store.ts'
import { until } from './until.ts'

/** The location of a test's stores. */
export interface StorePlace {
  /** The folder or URL. */
  readonly location: string
  open(clock?: ManualClock): SharedStore
  end(): Promise<void>
}

/** The contract of every store implementation. Two stores represent two processes of a tier. */
export function storeContract(prepare: () => Promise<StorePlace>, options: ZoneOptions = {}) {
  let place: Awaited<ReturnType<typeof prepare>>
  let one: SharedStore
  let other: SharedStore
  beforeAll(async () => {
    place = await prepare()
    one = place.open()
    other = place.open()
    await Promise.all([one.open(), other.open()])
  })
  afterAll(async () => {
    await Promise.all([one.close(), other.close()])
    await place.end()
  })

  let names = 0
  /** Returns a zone that no other test uses, as seen by two processes. */
  const freshZone = (): [Zone, Zone] => {
    names += 1
    return [one.zone(`zone${names}`, options), other.zone(`zone${names}`, options)]
  }
  /** Runs a program of this folder with the zone of the test. */
  const run = (script: string, ...args: string[]): ChildProcess =>
    spawn(
      process.execPath,
      [
        ...['--import', 'tsx', join(import.meta.dirname, script), place.location, `zone${names}`],
        ...[options.pinned ? 'pinned' : 'expiring', ...args],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
  const inAMinute = () => Date.now() + 60_000

  it('shows a write of one process to all processes', async () => {
    const [mine, theirs] = freshZone()
    const endsAt = inAMinute()
    expect(await mine.replace('k', undefined, { value: 'v', endsAt })).toBe(true)
    expect(await theirs.get('k')).toMatchObject({ value: 'v', endsAt })
    expect(await theirs.get('other')).toBeUndefined()
  })

  it('keeps values and keys with any characters', async () => {
    const [mine, theirs] = freshZone()
    const value = '{"a":"ü 1 \u0000\n"}'
    await mine.replace('k:ü *[x]', undefined, { value, endsAt: inAMinute() })
    expect((await theirs.get('k:ü *[x]'))?.value).toBe(value)
  })

  it('rounds a fraction of an expiry up, and refuses one that is no time', async () => {
    const [mine, theirs] = freshZone()
    const endsAt = inAMinute()
    await mine.replace('replaced', undefined, { value: 'v', endsAt: endsAt - 0.75 })
    await mine.overrule('overruled', { value: 'v', endsAt: endsAt - 0.25 })
    const entry = { value: 'v', endsAt }
    for (const key of ['replaced', 'overruled']) expect(await theirs.get(key)).toMatchObject(entry)
    const listed = []
    for await (const [, found] of theirs.entries()) listed.push(found)
    expect(listed).toEqual([entry, entry])
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const error = new RangeError(`An expiry is a time, not ${wrong}.`)
      await expect(mine.replace('k', undefined, { value: 'v', endsAt: wrong })).rejects.toThrow(error)
      await expect(mine.overrule('k', { value: 'v', endsAt: wrong })).rejects.toThrow(error)
    }
  })

  it('overwrites only what the writer has seen', async () => {
    const [mine, theirs] = freshZone()
    await mine.replace('k', undefined, { value: 'first', endsAt: inAMinute() })
    const seen = await mine.get('k')
    expect(await theirs.replace('k', undefined, { value: 'blind', endsAt: inAMinute() })).toBe(false)
    await theirs.overrule('k', { value: '0', endsAt: inAMinute() })
    expect(await mine.replace('k', seen, { value: 'late', endsAt: inAMinute() })).toBe(false)
    expect((await mine.get('k'))?.value).toBe('0')
    expect(await mine.replace('k', await mine.get('k'), { value: 'next', endsAt: inAMinute() })).toBe(true)
  })

  it('lets exactly one of a hundred concurrent first writers win', async () => {
    const [mine, theirs] = freshZone()
    const wins = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        (i % 2 ? mine : theirs).replace('k', undefined, { value: String(i), endsAt: inAMinute() }),
      ),
    )
    expect(wins.filter(Boolean)).toHaveLength(1)
  })

  it('gives a lease to one holder at a time, until it is released', async () => {
    const [mine, theirs] = freshZone()
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => (i % 2 ? mine : theirs).lease('k', 10_000)),
    )
    const held = all.filter((lease) => lease !== undefined)
    expect(held).toHaveLength(1)
    expect(await theirs.lease('k', 10_000)).toBeUndefined()
    expect(await theirs.lease('another', 10_000)).toBeDefined()
    await held[0]?.release()
    expect(await theirs.lease('k', 10_000)).toBeDefined()
  })

  it('gives an expired lease to the next holder, which the first cannot release', async () => {
    const [mine, theirs] = freshZone()
    const late = await mine.lease('k', 30)
    await expect(until(() => theirs.lease('k', 10_000))).resolves.toBeDefined()
    await late?.release()
    expect(await mine.lease('k', 10_000)).toBeUndefined()
  })

  it('extends a lease that is still held, and no other', async () => {
    const [mine, theirs] = freshZone()
    const lease = await mine.lease('k', 200)
    expect(await lease?.extend(10_000)).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await theirs.lease('k', 10_000)).toBeUndefined()
    await lease?.extend(20)
    const next = await until(() => theirs.lease('k', 10_000))
    expect(await lease?.extend(10_000)).toBe(false)
    await lease?.release()
    expect(await next.extend(10_000)).toBe(true)
    await next.release()
    expect(await next.extend(10_000)).toBe(false)
  })

  it('notifies every process of overruled entries within half a second, and of no others', async () => {
    const [mine, theirs] = freshZone()
    const [heardByMe, heardByThem] = [listen(mine), listen(theirs)]
    await until(async () => mine.isWatching() && theirs.isWatching())
    await mine.replace('quiet', undefined, { value: 'v', endsAt: inAMinute() })
    heardByMe.length = heardByThem.length = 0
    const started = Date.now()
    await mine.overrule('k', { value: '0', endsAt: inAMinute() })
    await mine.overrule('gone', undefined)
    await mine.announce('quiet')
    await until(async () => heardByMe.length >= 3 && heardByThem.length >= 3)
    expect(Date.now() - started).toBeLessThan(500)
    expect(new Set(heardByThem)).toEqual(new Set(['k', 'gone', 'quiet']))
    expect(new Set(heardByMe)).toEqual(new Set(['k', 'gone', 'quiet']))
  })

  it('removes one entry, or all entries of only one zone', async () => {
    const [mine, theirs] = freshZone()
    const [neighbour] = freshZone()
    for (const key of ['a', 'b', 'c']) await mine.replace(key, undefined, { value: key, endsAt: inAMinute() })
    await neighbour.replace('a', undefined, { value: 'stays', endsAt: inAMinute() })
    await theirs.overrule('a', undefined)
    expect(await keysOf(mine)).toEqual(['b', 'c'])
    await until(async () => mine.isWatching())
    const heard = listen(mine)
    await theirs.clear()
    await until(async () => heard.includes('(cleared)'))
    expect(await keysOf(mine)).toEqual([])
    expect((await neighbour.get('a'))?.value).toBe('stays')
  })

  it('lists and counts more entries than fit into one page', async () => {
    const [mine, theirs] = freshZone()
    const keys = Array.from({ length: 1_203 }, (_, i) => `key${String(i).padStart(5, '0')}`)
    for (let from = 0; from < keys.length; from += 100)
      await Promise.all(
        keys
          .slice(from, from + 100)
          .map((key) => mine.replace(key, undefined, { value: 'v', endsAt: inAMinute() })),
      )
    expect(await theirs.count()).toBe(keys.length)
    expect(await keysOf(theirs)).toEqual(keys)
  })

  it('lists every entry that stays exactly once while others come and go', async () => {
    const [mine, theirs] = freshZone()
    const write = (keys: string[], remove = false) =>
      Promise.all(
        keys.map((key) => mine.overrule(key, remove ? undefined : { value: 'v', endsAt: inAMinute() })),
      )
    const staying = Array.from({ length: 900 }, (_, i) => `stays${String(i).padStart(4, '0')}`)
    await write(staying)
    let isListed = false
    const others = (async () => {
      for (let round = 0; !isListed; round += 1) {
        const keys = Array.from({ length: 900 }, (_, i) => `other${round}-${i}`)
        await write(keys)
        await write(keys, true)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    try {
      for (let round = 0; round < 3; round += 1) {
        const keys: string[] = []
        for await (const [key] of theirs.entries()) {
          keys.push(key)
          if (keys.length % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        }
        expect(keys.filter((key) => key.startsWith('stays')).sort()).toEqual(staying)
        expect(new Set(keys).size).toBe(keys.length)
      }
    } finally {
      isListed = true
      await others
    }
  }, 30_000)

  it('lists ten thousand entries of two kilobytes within two seconds', async () => {
    const [mine, theirs] = freshZone()
    const value = 'v'.repeat(2_000)
    for (let from = 0; from < 10_000; from += 500)
      await Promise.all(
        Array.from({ length: 500 }, (_, i) =>
          mine.replace(`key${from + i}`, undefined, { value, endsAt: inAMinute() }),
        ),
      )
    const started = performance.now()
    expect(await keysOf(theirs)).toHaveLength(10_000)
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(await theirs.count()).toBe(10_000)
  }, 30_000)

  it('keeps values and keys up to the largest size, and refuses larger ones', async () => {
    const [mine, theirs] = freshZone()
    const endsAt = inAMinute()
    const value = 'ü'.repeat(MAX_VALUE_BYTES / 2)
    const key = 'k'.repeat(MAX_KEY_BYTES)
    for (const size of [4_096, 20_000, MAX_VALUE_BYTES]) {
      const seen = await mine.get(key)
      expect(await mine.replace(key, seen, { value: value.slice(0, size / 2), endsAt })).toBe(true)
      expect((await theirs.get(key))?.value).toBe(value.slice(0, size / 2))
      expect(await keysOf(theirs)).toEqual([key])
    }
    const tooLarge = new RangeError(
      `A value in the store has at most 262144 bytes, this one has ${MAX_VALUE_BYTES + 1}.`,
    )
    const large = { value: `${value}x`, endsAt }
    await expect(mine.replace('k', undefined, large)).rejects.toThrow(tooLarge)
    await expect(mine.overrule('k', large)).rejects.toThrow(tooLarge)
    const tooLong = new RangeError('A key in the store has at most 1024 bytes, this one has 1025.')
    await expect(mine.overrule(`${key}k`, { value: 'v', endsAt })).rejects.toThrow(tooLong)
  })

  it('loses no update of four processes that make ten thousand attempts', async () => {
    const [mine] = freshZone()
    const counters = Array.from({ length: 4 }, () => run('run-counter.ts', '2500'))
    const wins = await Promise.all(counters.map(async (counter) => Number(await outputOf(counter))))
    const total = wins.reduce((sum, count) => sum + count, 0)
    expect(Number((await mine.get('count'))?.value)).toBe(total)
    expect(total).toBeGreaterThanOrEqual(2_500)
  }, 120_000)

  it('keeps what a process has written when that process is killed', async () => {
    const [mine] = freshZone()
    for (let round = 0; round < 3; round += 1) {
      const recorder = run('run-recorder.ts')
      const output = outputOf(recorder)
      await once(recorder.stdout as NodeJS.ReadableStream, 'data')
      await new Promise((resolve) => setTimeout(resolve, 100 + 50 * round))
      recorder.kill('SIGKILL')
      const written = (await output).trim().split('\n')
      for (const key of written) expect([key, (await mine.get(key))?.value.length]).toEqual([key, 5_000])
      expect(written.length).toBeGreaterThan(1)
      await mine.clear()
    }
  }, 60_000)

  it('treats an expired entry as absent', async () => {
    const clock = new ManualClock(Date.now())
    const store = place.open(clock)
    await store.open()
    const zone = store.zone('ending', options)
    await zone.replace('k', undefined, { value: 'v', endsAt: clock.now() + 1_000 })
    clock.advance(999)
    expect(await zone.get('k')).toBeDefined()
    clock.advance(1)
    expect(await zone.get('k')).toBeUndefined()
    expect(await zone.replace('k', undefined, { value: 'w', endsAt: clock.now() + 1_000 })).toBe(true)
    clock.advance(1_000)
    expect(await keysOf(zone)).toEqual([])
    await store.close()
  })

  it('stops its timers and connections when it is closed', async () => {
    const store = place.open()
    await store.open()
    const zone = store.zone('closing', options)
    await until(async () => zone.isWatching())
    await store.close()
    expect(zone.isWatching()).toBe(false)
  })
}

/** Returns the reported keys, and the other changes in parentheses. */
function listen(zone: Zone): string[] {
  const heard: string[] = []
  zone.watch((change: Change) => heard.push(typeof change === 'string' ? `(${change})` : change.key))
  return heard
}

async function keysOf(zone: Zone): Promise<string[]> {
  const keys: string[] = []
  for await (const [key] of zone.entries()) keys.push(key)
  return keys.sort()
}

async function outputOf(child: ChildProcess): Promise<string> {
  let output = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  await once(child, 'close')
  return output
}
