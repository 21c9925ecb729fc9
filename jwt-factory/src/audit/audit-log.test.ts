import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, silentLog } from '@hallpass/service-kit'
import { describeWith, ManualClock } from '@hallpass/service-kit/testing'
import { LmdbStore, type SharedStore, storeFor } from '@hallpass/token-store'
import { startRedis } from '@hallpass/token-store/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { AuditEvent } from './audit-entry.ts'
import { AuditLog } from './audit-log.ts'

const START = { keys: 0, tokens: 0 }
const DAY = 86_400_000
const issued = (jti: string): AuditEvent => ({ action: 'issued', actor: 'servicea', keyId: 'servicea', jti })
const rotated = (keyId: string): AuditEvent => ({ action: 'rotated', actor: 'operator', keyId })

interface Place {
  open(): SharedStore
  end(): Promise<void>
}

const onLmdb = async (): Promise<Place> => {
  const folder = await mkdtemp(join(tmpdir(), 'audit-'))
  return { open: () => new LmdbStore({ folder }), end: () => rm(folder, { recursive: true }) }
}
const onRedis = async (): Promise<Place> => {
  const redis = await startRedis()
  return { open: () => storeFor({ redis: { url: redis.url }, storeFolder: '' }), end: () => redis.stop() }
}

function auditContract(place: () => Promise<Place>) {
  let at: Place
  let stores: SharedStore[]
  beforeAll(async () => {
    at = await place()
    stores = [at.open(), at.open(), at.open()]
    for (const store of stores) await store.open()
  })
  afterAll(async () => {
    for (const store of stores) await store.close()
    await at.end()
  })
  let tests = 0
  /** Each test has its own zone, and several replicas. */
  function replicas() {
    tests += 1
    // The store removes expired entries by its own clock.
    const clock = new ManualClock(Date.now())
    const lines: string[] = []
    const log = createLog('jwt-factory', 'info', { write: (line) => void lines.push(line) })
    const zones = stores.map((store) => store.zone(`audit${tests}`, { pinned: true }))
    const logs = zones.map((zone) => new AuditLog({ zone, clock: clock.now, log }))
    return { clock, lines, zones, logs, first: logs[0] as AuditLog, zone: zones[0] as (typeof zones)[0] }
  }
  const all = (log: AuditLog) => log.read({ after: START, limit: 100_000 })

  it('returns what was recorded, in order, each entry with the hash of its chain', async () => {
    const { clock, first } = replicas()
    await first.record({
      action: 'issued',
      actor: 'servicea',
      keyId: 'servicea',
      kid: 'servicea-1',
      jti: 'j1',
      subject: 'servicea',
      audience: 'serviceb',
      client: '127.0.0.1',
      requestId: 'r1',
    })
    clock.advance(1)
    await first.record(rotated('servicea'))
    clock.advance(1)
    await first.record({ action: 'revoked', actor: 'servicea', jti: 'j1' })
    const { entries, hasMore, brokenAt } = await all(first)
    expect(entries).toEqual([
      {
        trail: 'tokens',
        seq: 1000,
        at: new Date(clock.now() - 2).toISOString(),
        action: 'issued',
        actor: 'servicea',
        keyId: 'servicea',
        kid: 'servicea-1',
        jti: 'j1',
        subject: 'servicea',
        audience: 'serviceb',
        client: '127.0.0.1',
        requestId: 'r1',
        hash: expect.stringMatching(/^[\w-]{43}$/),
      },
      {
        trail: 'keys',
        seq: 1000,
        at: new Date(clock.now() - 1).toISOString(),
        action: 'rotated',
        actor: 'operator',
        keyId: 'servicea',
        hash: expect.stringMatching(/^[\w-]{43}$/),
      },
      expect.objectContaining({ trail: 'tokens', action: 'revoked', jti: 'j1' }),
    ])
    expect([hasMore, brokenAt]).toEqual([false, []])
  })

  it('has one order and one chain when three replicas write at the same time', async () => {
    const { logs, first } = replicas()
    await Promise.all(
      logs.flatMap((log, replica) =>
        Array.from({ length: 40 }, (_, index) => log.record(rotated(`key-${replica}-${index}`))),
      ),
    )
    const { entries, brokenAt } = await all(first)
    expect(brokenAt).toEqual([])
    expect(new Set(entries.map(({ keyId }) => keyId)).size).toBe(120)
    expect(entries).toHaveLength(120)
    for (const replica of [0, 1, 2]) {
      const own = entries.flatMap(({ keyId = '' }) => (keyId.startsWith(`key-${replica}-`) ? [keyId] : []))
      expect(own).toEqual(Array.from({ length: 40 }, (_, index) => `key-${replica}-${index}`))
    }
    for (const log of logs) expect((await all(log)).entries).toEqual(entries)
  })

  it('continues the chain of a process that has ended', async () => {
    const { logs, zones, clock } = replicas()
    for (const [index, log] of logs.entries()) {
      for (let count = 0; count < 5; count += 1) await log.record(rotated(`key-${index}-${count}`))
      await log.stop()
    }
    const next = new AuditLog({ zone: zones[1] as (typeof zones)[0], clock: clock.now, log: silentLog })
    await next.record(rotated('last'))
    const { entries, brokenAt } = await all(next)
    expect([entries.length, entries.at(-1)?.keyId, brokenAt]).toEqual([16, 'last', []])
  })

  it('returns pages from which a reader misses nothing that is written meanwhile', async () => {
    const { logs, first } = replicas()
    const writing = (async () => {
      for (let index = 0; index < 60; index += 1) {
        const log = logs[index % 3] as AuditLog
        await log.record(
          index % 2 === 0 ? rotated(`n-${index}`) : { ...issued(`n-${index}`), action: 'revoked' },
        )
      }
    })()
    const seen: string[] = []
    let after: Readonly<Record<'keys' | 'tokens', number>> = START
    for (let pages = 0; seen.length < 60 && pages < 10_000; pages += 1) {
      const page = await first.read({ after, limit: 7 })
      expect(page.entries.length).toBeLessThanOrEqual(7)
      seen.push(...page.entries.map(({ keyId, jti }) => jti ?? (keyId as string)))
      after = page.next
      await new Promise(setImmediate)
    }
    await writing
    expect(seen.toSorted()).toEqual(Array.from({ length: 60 }, (_, index) => `n-${index}`).toSorted())
  })

  it('tells a reader that the log was begun again, and returns all of it', async () => {
    const { first, zone, zones, clock } = replicas()
    for (let count = 0; count < 5; count += 1) await first.record(rotated(`lost-${count}`))
    const { next: after } = await all(first)
    await first.stop()
    await zone.clear()
    const log = new AuditLog({ zone: zones[1] as typeof zone, clock: clock.now, log: silentLog })
    await log.record(rotated('new'))
    const { entries, brokenAt } = await log.read({ after, limit: 100 })
    expect(entries.map(({ keyId }) => keyId)).toEqual(['new'])
    expect(brokenAt).toEqual([{ trail: 'keys', seq: after.keys }])
  })

  it('returns only entries of an action and a key ID', async () => {
    const { first } = replicas()
    for (const keyId of ['a', 'b', 'a']) await first.record(rotated(keyId))
    await first.record({ action: 'withdrawn', actor: 'operator', keyId: 'a' })
    const read = async (query: object) =>
      (await first.read({ after: START, limit: 10, ...query })).entries.map(({ action, keyId }) => [
        action,
        keyId,
      ])
    expect(await read({ keyId: 'b' })).toEqual([['rotated', 'b']])
    expect(await read({ action: 'withdrawn' })).toEqual([['withdrawn', 'a']])
    expect(await read({ action: 'rotated', keyId: 'a' })).toHaveLength(2)
    expect(await read({ action: 'issued' })).toEqual([])
  })

  it.each(['changed', 'removed', 'replaced'])('shows where an entry was %s', async (how) => {
    const { first, zone } = replicas()
    for (const keyId of ['a', 'b', 'c', 'd']) await first.record(rotated(keyId))
    const block = await zone.get('keys.2')
    const value = block?.value ?? ''
    expect(value).toContain('"b"')
    await zone.overrule(
      'keys.2',
      how === 'removed'
        ? undefined
        : {
            value: how === 'changed' ? value.replace('"b"', '"x"') : '{"nonsense',
            endsAt: block?.endsAt ?? 0,
          },
    )
    const { brokenAt } = await all(first)
    expect(brokenAt[0]).toEqual({ trail: 'keys', seq: how === 'replaced' ? 2000 : 3000 })
    await first.record(rotated('e'))
    expect((await all(first)).entries.at(-1)?.keyId).toBe('e')
  })

  it('stores no token and no long value', async () => {
    const { first, lines, zone } = replicas()
    const token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln'
    await first.record({
      action: 'revoked',
      actor: token,
      subject: `x${token}`,
      audience: 'a'.repeat(10_000),
    })
    const { entries } = await all(first)
    expect(entries[0]).toMatchObject({ actor: '[token]', subject: 'x[token]', audience: 'a'.repeat(256) })
    expect(lines.join() + (await zone.get('tokens.1'))?.value).not.toContain('eyJ')
  })

  it('logs each entry, and the hash of each write', async () => {
    const { first, lines } = replicas()
    await first.record(rotated('servicea'))
    const { hash } = (await all(first)).entries[0] ?? {}
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        audit: true,
        msg: 'audit',
        action: 'rotated',
        actor: 'operator',
        keyId: 'servicea',
      }),
      expect.objectContaining({ audit: true, msg: 'audit chain', trail: 'keys', seq: 1000, hash }),
    ])
  })

  it('removes entries after 400 days, those of tokens after 30', async () => {
    const { clock, first } = replicas()
    await first.record(rotated('old'))
    await first.record({ ...issued('old'), action: 'revoked' })
    clock.advance(31 * DAY)
    await first.record(rotated('new'))
    await first.record({ ...issued('new'), action: 'revoked' })
    await first.clean()
    expect((await all(first)).entries.map(({ keyId, jti }) => jti ?? keyId)).toEqual(['old', 'new', 'new'])
    clock.advance(370 * DAY)
    await first.record(rotated('newest'))
    await first.clean()
    const { entries, brokenAt } = await all(first)
    expect([entries.map(({ keyId }) => keyId), brokenAt]).toEqual([['new', 'newest'], []])
  })

  it('writes a thousand entries a second with few writes', async () => {
    const { first, zone } = replicas()
    for (let index = 0; index < 3_000; index += 1) void first.record(issued(`token-${index}`))
    expect(first.queued).toBe(3_000)
    await first.stop()
    expect(first.queued).toBe(0)
    const { entries, brokenAt } = await all(first)
    expect(entries.map(({ jti }) => jti)).toEqual(
      Array.from({ length: 3_000 }, (_, index) => `token-${index}`),
    )
    expect(brokenAt).toEqual([])
    expect(await zone.count()).toBeLessThan(60)
  })
}

describe('AuditLog in lmdb', () => auditContract(onLmdb))
describeWith('redis-server', 'apt-get install redis-server')('AuditLog in Redis', () => {
  auditContract(onRedis)

  it('keeps entries while Redis is away, answers after two seconds, and stores them when it is back', async () => {
    const redis = await startRedis(['--appendonly', 'yes'])
    const store = storeFor({ redis: { url: redis.url }, storeFolder: '' })
    await store.open()
    let failures = 0
    const log = new AuditLog({
      zone: store.zone('audit', { pinned: true }),
      clock: Date.now,
      log: silentLog,
      onFailure: () => {
        failures += 1
      },
    })
    await log.record(rotated('before'))
    await redis.kill()
    const startedAt = performance.now()
    await log.record(rotated('during'))
    expect(performance.now() - startedAt).toBeGreaterThan(500)
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    expect([log.queued, failures > 0]).toEqual([1, true])
    await redis.start()
    await log.record(rotated('after'))
    await log.stop()
    const { entries, brokenAt } = await log.read({ after: START, limit: 10 })
    expect([entries.map(({ keyId }) => keyId), brokenAt]).toEqual([['before', 'during', 'after'], []])
    await store.close()
    await redis.stop()
  })
})

it('limits its queue, and counts what is only in the log', async () => {
  let lost = 0
  const store = new LmdbStore({ folder: join(tmpdir(), 'never-opened') })
  const log = new AuditLog({
    zone: store.zone('audit', { pinned: true }),
    clock: Date.now,
    log: silentLog,
    onLost: (entries) => {
      lost += entries
    },
  })
  for (let index = 0; index < 10_005; index += 1) void log.record(issued(`token-${index}`))
  expect([log.queued, lost]).toEqual([10_000, 5])
  await log.stop()
})
