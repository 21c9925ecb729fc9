import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, httpService } from '@hallpass/service-kit'
import { developmentConfig, ManualClock } from '@hallpass/service-kit/testing'
import { LmdbStore, storeFor, type Zone } from '@hallpass/token-store'
import { startRedis, type TestRedis } from '@hallpass/token-store/testing'
import {
  remoteStatusLists,
  type SigningKey,
  signToken,
  staticKeys,
  verifyStatusList,
  verifyToken,
} from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { IssuedStatuses } from './issued-statuses.ts'
import { publishStatusLists } from './publish-status-lists.ts'
import { statusClaim, statusIn } from './status-claim.ts'
import { statusLists } from './status-lists.ts'

const ISSUER = 'https://jwt-factory/'
const LISTS = 'http://localhost:5555/status-lists/'
const LIFETIME = 3_600
const MINUTE = 60_000
const key: SigningKey = testKey('ES256', 'lists')

let folder: string
let store: LmdbStore
let zone: Zone
let clock: ManualClock
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'status-lists-'))
  clock = new ManualClock()
  store = new LmdbStore({ folder, clock: clock.now })
  await store.open()
  zone = store.zone('statuses', { pinned: true })
})
afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

const replica = (of: Zone = zone) =>
  new IssuedStatuses({ zone: of, clock: clock.now, maxLifetimeSeconds: LIFETIME })
const named = ({ listId, index }: { listId: string; index: number }) => `${listId} ${index}`

describe('a failover that has lost the last writes', () => {
  /** The zone as one replica sees it, which the test tells what it has missed. */
  function heard() {
    const listeners: ((change: 'missed') => void)[] = []
    const seen = new Proxy(zone, {
      get: (target, name: keyof Zone) => {
        if (name === 'watch') return (listener: (change: 'missed') => void) => void listeners.push(listener)
        return name === 'isWatching' ? () => true : target[name].bind(target)
      },
    }) as Zone
    const tell = () => {
      for (const listener of listeners) listener('missed')
    }
    return { seen, tell }
  }

  it('gives no place twice, and keeps lists and revocations', async () => {
    const [first, second] = [heard(), heard()]
    const [one, other] = [replica(first.seen), replica(second.seen)]
    // The first is that of the start.
    first.tell()
    second.tell()
    const before = await one.place()
    const reserved = await zone.get('open')
    const listed = await zone.get(`list ${before.listId}`)
    const given = [before, await other.place()]
    await one.revoke(before)
    expect(new Set(given.map(({ listId }) => listId)).size).toBe(1)
    // The new master has neither the second reservation nor the revocation.
    await zone.overrule('open', reserved)
    await zone.overrule(`list ${before.listId}`, listed)
    first.tell()
    second.tell()
    for (let count = 0; count < 600; count += 1) given.push(await one.place(), await other.place())
    expect(new Set(given.map(named)).size).toBe(given.length)
    expect((await one.list(before.listId))?.get(before.index)).toBe(1)
  })

  it('keeps a list that was begun just before', async () => {
    const { seen, tell } = heard()
    const one = replica(seen)
    tell()
    const { listId } = await one.place()
    await zone.overrule(`list ${listId}`, undefined)
    tell()
    for (let tries = 0; tries < 100 && !(await one.list(listId)); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await one.list(listId)).toBeDefined()
  })
})

describe('the place of a status', () => {
  it('is given once, by however many replicas', async () => {
    const replicas = Array.from({ length: 8 }, () => replica())
    const places = await Promise.all(
      replicas.flatMap((one) => Array.from({ length: 1_000 }, () => one.place())),
    )
    expect(new Set(places.map(named)).size).toBe(8_000)
    expect(new Set(places.map(({ listId }) => listId)).size).toBe(1)
  })

  it('is given once by a replica that starts again, which leaves the rest of its block unused', async () => {
    const before = await replica().place()
    const after = await replica().place()
    expect(before).toEqual({ listId: after.listId, index: 0 })
    expect(after.index).toBe(256)
  })

  it('is in a new list once the old one is full', async () => {
    const one = replica()
    const { listId } = await one.place()
    const open = await zone.get('open')
    const full = { ...JSON.parse(open?.value ?? ''), next: 2 ** 17 - 256 }
    await zone.replace('open', open, { value: JSON.stringify(full), endsAt: open?.endsAt ?? 0 })
    const other = replica()
    expect(await other.place()).toEqual({ listId, index: 2 ** 17 - 256 })
    for (let n = 1; n < 256; n += 1) expect((await other.place()).listId).toBe(listId)
    const next = await other.place()
    expect(next.index).toBe(0)
    expect(next.listId).not.toBe(listId)
    expect(await one.ids()).toEqual([listId, next.listId].sort())
  })

  it('is in a new list after an hour, and the old list ends with its last token', async () => {
    const one = replica()
    const first = await one.place()
    clock.advance(61 * MINUTE)
    const second = await one.place()
    expect(second.listId).not.toBe(first.listId)
    expect(await one.list(first.listId)).toBeDefined()
    clock.advance(3 * MINUTE)
    expect(await one.list(first.listId)).toBeUndefined()
    expect(await one.list(second.listId)).toBeDefined()
    expect(await one.ids()).toEqual([second.listId])
  })

  it('is in a list that is there until the token has expired, however late in a block', async () => {
    const one = replica()
    await one.place()
    clock.advance(MINUTE - 1)
    const { listId } = await one.place()
    clock.advance(LIFETIME * 1_000)
    expect(await one.list(listId)).toBeDefined()
  })

  it('is not given if the store fails, and given again afterwards', async () => {
    let broken = true
    const failing = Object.create(zone) as Zone
    failing.get = async (id) => {
      if (broken) throw new Error('the store is down')
      return zone.get(id)
    }
    failing.replace = (...change) => zone.replace(...change)
    failing.watch = (listener) => zone.watch(listener)
    failing.isWatching = () => zone.isWatching()
    const one = replica(failing)
    await expect(one.place()).rejects.toThrow('the store is down')
    broken = false
    expect((await one.place()).index).toBe(0)
  })
})

describe('the place of a status, in Redis', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  it('is given once by replicas with connections of their own, and lists that have ended are removed', async () => {
    const stores = [1, 2, 3].map(() =>
      storeFor({ redis: { url: redis.url }, storeFolder: folder }, { clock: clock.now }),
    )
    await Promise.all(stores.map((one) => one.open()))
    const zones = stores.map((one) => one.zone('statuses', { pinned: true }))
    const replicas = zones.map((one) => replica(one))
    const places = await Promise.all(
      replicas.flatMap((one) => Array.from({ length: 1_000 }, () => one.place())),
    )
    expect(new Set(places.map(named)).size).toBe(3_000)
    const [first] = places
    if (first) await replicas[1]?.revoke(first)
    expect((await replicas[2]?.list(first?.listId ?? ''))?.get(first?.index ?? -1)).toBe(1)
    clock.advance(3 * 60 * MINUTE)
    await replicas[0]?.place()
    await replicas[0]?.ids()
    expect(await zones[0]?.count()).toBe(2)
    await Promise.all(stores.map((one) => one.close()))
  })

  it('is not given while Redis is down: 503, with what the client can do', async () => {
    const store = storeFor({ redis: { url: redis.url }, storeFolder: folder }, { clock: clock.now })
    await store.open()
    const lists = statusLists({
      zone: store.zone('statuses', { pinned: true }),
      clock: clock.now,
      maxLifetimeSeconds: LIFETIME,
      issuer: ISSUER,
      listsUri: LISTS,
      ttlSeconds: 10,
      sign: async () => 'unused',
    })
    const { status } = await lists.claims()
    clock.advance(MINUTE)
    await redis.kill()
    for (const work of [lists.claims(), lists.revoke({ status })])
      await expect(work).rejects.toMatchObject({
        status: 503,
        code: 'state_unavailable',
        headers: { 'retry-after': '2' },
      })
    await store.close()
  })
})

describe('a revocation', () => {
  it('is seen by every replica, and none is lost if several are made at once', async () => {
    const [one, two] = [replica(), replica()]
    const places = await Promise.all(Array.from({ length: 40 }, () => one.place()))
    const revoked = places.filter((_, index) => index % 2 === 0)
    await Promise.all(revoked.map((place, index) => (index % 2 ? one : two).revoke(place)))
    const list = await replica().list((places[0] as { listId: string }).listId)
    expect(places.map(({ index }) => list?.get(index))).toEqual(places.map((_, n) => (n % 2 === 0 ? 1 : 0)))
  })

  it('is kept when the list is extended, and by a restart', async () => {
    const one = replica()
    const place = await one.place()
    await one.revoke(place)
    clock.advance(10 * MINUTE)
    await one.place()
    await store.close()
    store = new LmdbStore({ folder, clock: clock.now })
    await store.open()
    expect(
      (await replica(store.zone('statuses', { pinned: true })).list(place.listId))?.get(place.index),
    ).toBe(1)
  })

  it('of a list that has ended, or of an index that was never given, changes nothing', async () => {
    const one = replica()
    await one.revoke({ listId: 'AAAAAAAAAAAAAAAA', index: 0 })
    expect(await one.ids()).toEqual([])
    const { listId } = await one.place()
    await one.revoke({ listId, index: 2 ** 17 })
    await one.revoke({ listId, index: -1 })
    expect(await one.list('../open')).toBeUndefined()
  })
})

describe('GET /status-lists/:id', () => {
  const setUp = () => {
    let signatures = 0
    const statuses = replica()
    const lists = publishStatusLists({
      statuses,
      issuer: ISSUER,
      listsUri: LISTS,
      ttlSeconds: 10,
      clock: clock.now,
      sign: (claims, { typ, lifetimeSeconds }) => {
        signatures += 1
        return signToken(claims, key, { typ, lifetimeSeconds, clock: clock.now, maxLength: 1024 * 1024 })
      },
    })
    const { app } = httpService({
      name: 'lists',
      log: createLog('lists', 'silent'),
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (routes) => {
        routes.get('/status-lists', lists.all)
        routes.get('/status-lists/:id', lists.one)
      },
    })
    return {
      statuses,
      signatures: () => signatures,
      get: (id: string) => supertest(app).get(`/status-lists/${id}`),
      all: () => supertest(app).get('/status-lists'),
    }
  }

  it('publishes what a verifier needs to reject a revoked token', async () => {
    const { statuses, get, all } = setUp()
    const keys = staticKeys(ISSUER, [key])
    const statusList = remoteStatusLists({
      issuer: ISSUER,
      keys,
      prefix: LISTS,
      whenUnavailable: 'reject',
      maxAgeSeconds: 60,
      clock: clock.now,
      load: async (uri) => (await get(uri.slice(LISTS.length)).expect(200)).text,
    })
    const verify = async (token: string) =>
      verifyToken(token, {
        issuer: ISSUER,
        audience: 'b',
        subject: 'a',
        keys,
        maxLifetimeSeconds: LIFETIME,
        statusList,
        clock: clock.now,
      })
    const issue = async () =>
      signToken(
        { iss: ISSUER, aud: 'b', sub: 'a', status: statusClaim(LISTS, await statuses.place()) },
        key,
        { lifetimeSeconds: LIFETIME, clock: clock.now },
      )
    const [token, other] = [await issue(), await issue()]
    const { claims } = await verify(token)
    await verify(other)
    const status = statusIn(claims)
    expect(status).toEqual({ listId: expect.any(String), index: 0 })
    if (status) await statuses.revoke(status)
    clock.advance(10_000)
    await expect(verify(token)).rejects.toMatchObject({ reason: 'revoked', message: 'jwt revoked' })
    await verify(other)
    expect((await all().expect(200)).body).toEqual({ status_lists: [`${LISTS}${status?.listId}`] })
  })

  it('has the type, the headers and the claims of the standard', async () => {
    const { statuses, get } = setUp()
    const { listId } = await statuses.place()
    const { headers, text } = await get(listId).expect(200)
    expect(headers).toMatchObject({
      'content-type': 'application/statuslist+jwt',
      'cache-control': 'public, no-cache',
    })
    const uri = `${LISTS}${listId}`
    const rules = { issuer: ISSUER, keys: staticKeys(ISSUER, [key]), uri, clock: clock.now }
    const { list, iat, exp, ttl } = await verifyStatusList(text, rules)
    expect([list.bits, list.size, ttl, (exp ?? 0) - iat]).toEqual([1, 2 ** 17, 10, 60])
    await get(listId).set('if-none-match', `W/${headers.etag}`).expect(304)
  })

  it('reads the store twice a second at most, and signs only what changed or is half a ttl old', async () => {
    const { statuses, signatures, get } = setUp()
    const place = await statuses.place()
    const tokenNow = async () => (await get(place.listId).expect(200)).text
    const first = await tokenNow()
    await Promise.all(Array.from({ length: 20 }, tokenNow))
    clock.advance(4_000)
    expect(await tokenNow()).toBe(first)
    expect(signatures()).toBe(1)
    await statuses.revoke(place)
    clock.advance(500)
    expect(await tokenNow()).not.toBe(first)
    expect(signatures()).toBe(2)
    clock.advance(5_000)
    await tokenNow()
    expect(signatures()).toBe(3)
  })

  it.each(['AAAAAAAAAAAAAAAA', 'open', '..%2fopen', '__proto__'])('does not find %s', async (id) => {
    const { get } = setUp()
    expect((await get(id).expect(404)).body).toEqual({
      error: {
        code: 'status_list_not_found',
        message: 'There is no such status list, or its tokens have expired.',
      },
    })
  })
})
