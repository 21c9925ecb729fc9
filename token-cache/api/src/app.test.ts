import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp as createFactory, loadConfig as loadFactory } from '@hallpass/jwt-factory/app'
import { silentLog } from '@hallpass/service-kit'
import { ManualClock, useService } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

const factoryClock = new ManualClock()
const clock = new ManualClock()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-cache-api-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('an API whose clock differs from the issuer’s', () => {
  const factory = useService(() =>
    createFactory(
      loadFactory({ PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: folder, TOKEN_LIFETIME_SECONDS: '60' }),
      silentLog,
      factoryClock.now,
    ),
  )
  const api = (env: Record<string, string> = {}) =>
    createApp(loadConfig({ PORT: '0', JWT_FACTORY_URL: factory.url(), ...env }), silentLog, clock.now).app
  const get = async (token: string, env?: Record<string, string>) =>
    (await request(api(env)).get('/').set('authorization', `Bearer ${token}`)).status

  it('accepts tokens 2 s behind and 2 s ahead of it, and no others', async () => {
    await request(factory.url()).get('/keys/token-cache-auth').expect(200)
    const { text: token } = await request(factory.url())
      .post('/issueToken/token-cache-auth')
      .send({ aud: 'token-cache-api', sub: 'user1' })
      .expect(200)
    for (const [skewMs, strict] of [
      [-2_000, 401],
      [0, 200],
      [61_000, 401],
    ] as const) {
      const start = clock.now()
      clock.advance(skewMs)
      expect(await get(token)).toBe(200)
      expect(await get(token, { CLOCK_TOLERANCE_SECONDS: '0' })).toBe(strict)
      clock.advance(start - clock.now())
    }
    clock.advance(65_000)
    expect(await get(token)).toBe(401)
  })
})
