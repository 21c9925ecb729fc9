import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@hallpass/service-kit'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { LmdbStore } from '@hallpass/token-store'
import { parseCompact } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { useFactory } from '../testing.ts'

describe('a factory whose disk is full', () => {
  let free = Number.MAX_SAFE_INTEGER
  const factory = useFactory({
    makeStore: (config, options) =>
      new LmdbStore({ ...options, folder: config.storeFolder, freeBytes: () => free }),
  })
  const ready = () => factory.get('/readyz')
  const states = async () => (await factory.get('/utils/key-states').expect(200)).body

  it('changes nothing, answers 503 with the reason, is not ready, and recovers by itself', async () => {
    await factory.get('/keys/servicea').expect(200)
    const token = await factory.issue('servicea')
    const before = await states()
    await ready().expect(200)
    free = 0
    for (const path of ['/keys/servicea', '/keys/servicea', '/keys/servicea/withdraw', '/keys/another']) {
      const { status, body, headers } = await factory.post(path)
      expect([status, body.error.code, headers['retry-after']]).toEqual([503, 'state_unavailable', '2'])
      expect(body.error.message).toMatch(/^The shared store is full \(the disk of .* has 0 KB left\)\.$/)
    }
    const { status } = await factory.post('/revoke').type('form').send({ token })
    expect(status).toBe(503)
    expect(await states()).toEqual(before)
    // What needs no write goes on.
    await factory.post('/verify/servicea', { token, aud: 'serviceb', sub: 'servicea' }).expect(200)
    await factory.issue('servicea')
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const { body } = await ready().expect(503)
    expect(body.failed.state).toMatch(/^The shared store is full/)
    free = Number.MAX_SAFE_INTEGER
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await ready().expect(200)
    await factory.post('/keys/servicea').expect(200)
    expect((await states()).keyIds[0].keys.length).toBeLessThanOrEqual(3)
  })
})

describeWith('redis-server', 'apt-get install redis-server')('two factories with Redis', () => {
  let redis: RedisServer
  let folder = ''
  const stops: (() => Promise<void>)[] = []
  beforeAll(async () => {
    redis = await RedisServer.start()
    folder = await mkdtemp(join(tmpdir(), 'redis-factories-'))
    await writeFile(join(folder, 'kek'), randomBytes(32).toString('base64'), { mode: 0o600 })
  })
  afterAll(async () => {
    for (const stop of stops) await stop()
    await redis.remove()
    await rm(folder, { recursive: true })
  })
  /** Each replica has its own folder, as on machines of their own; only Redis and the key-encryption key are shared. */
  async function start(name: string) {
    const config = loadConfig({
      PORT: '0',
      ALGORITHM: 'ES256',
      STATE_FOLDER: join(folder, name),
      REDIS_URL: redis.url,
      KEY_ENCRYPTION_KEY_FILE: join(folder, 'kek'),
    })
    const service = await createApp(config, silentLog)
    const { http } = await service.start()
    stops.push(() => service.stop())
    return request(http as string)
  }
  type Api = Awaited<ReturnType<typeof start>>
  const issue = async (api: Api) =>
    (await api.post('/issueToken/servicea').send({ aud: 'serviceb' }).expect(200)).text
  const verify = (api: Api, token: string) =>
    api.post('/verify/servicea').send({ token, aud: 'serviceb', sub: 'servicea' })

  it.each<[string, () => void | Promise<void>, () => void | Promise<void>]>([
    ['is frozen', () => redis.freeze(), () => redis.thaw()],
    ['is down', () => redis.kill(), () => redis.start()],
  ])(
    'share keys and revocations, and answer 503 while Redis %s',
    async (what, breakIt, mendIt) => {
      const [one, other] = [await start(`one ${what}`), await start(`other ${what}`)]
      await one.get('/keys/servicea').expect(200)
      const token = await issue(other)
      await verify(one, token).expect(200)
      await one.post('/keys/servicea').expect(200)
      await verify(other, await issue(one)).expect(200)
      await other.post('/revoke').type('form').send({ token }).expect(200)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      await verify(one, token).expect(403)

      const fresh = await issue(one)
      const { kid } = parseCompact(fresh).header
      await breakIt()
      await new Promise((resolve) => setTimeout(resolve, 1_100))
      for (const answer of [
        await verify(one, fresh),
        await one.post('/issueToken/servicea').send({ aud: 'serviceb' }),
        await one.post('/keys/servicea'),
      ])
        expect([answer.status, answer.body.error?.code]).toEqual([503, 'state_unavailable'])
      expect((await one.get('/readyz').expect(503)).body.failed.state).toMatch(
        /^The shared store is not available/,
      )
      await mendIt()
      for (let tries = 0; tries < 50 && (await one.get('/readyz')).status !== 200; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 100))
      await verify(one, fresh).expect(200)
      await verify(other, fresh).expect(200)
      // The rotation that failed changed nothing.
      expect(parseCompact(await issue(one)).header.kid).toBe(kid)
      await verify(one, token).expect(403)
    },
    30_000,
  )
})
