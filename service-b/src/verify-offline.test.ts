import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp as createFactory, loadConfig as loadFactoryConfig } from '@hallpass/jwt-factory/app'
import { createLog, type Service } from '@hallpass/service-kit'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { createApp, loadConfig } from './app.ts'

const TTL_SECONDS = 2
/** How often the factory reads a list from its store. */
const RENDER_SECONDS = 0.5
/** What the README promises: the ttl and the factory's half a second; here with half a second for a busy machine. */
const LIMIT_MS = (TTL_SECONDS + RENDER_SECONDS + 0.5) * 1_000
/** In the tokens: a name, which neither service has to be able to reach. */
const PUBLIC_URL = 'http://factory.test'

const log = createLog('test', 'silent')
let folder: string
let factory: Service
let factoryUrl = ''
let calleeUrl = ''
let port = '0'
const services: Service[] = []

async function startFactory(env: Record<string, string> = {}): Promise<void> {
  const config = {
    PORT: port,
    ALGORITHM: 'ES256',
    STATE_FOLDER: join(folder, 'factory'),
    PUBLIC_URL,
    STATUS_LIST: 'on',
    STATUS_LIST_TTL_SECONDS: String(TTL_SECONDS),
    ...env,
  }
  factory = await createFactory(loadFactoryConfig(config), log)
  services.push(factory)
  factoryUrl = (await factory.start()).http as string
  port = new URL(factoryUrl).port
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verify-offline-'))
  await startFactory()
  await supertest(factoryUrl).get('/keys/servicea').expect(200)
  await supertest(factoryUrl).get('/keys/serviceb').expect(200)
  const callee = createApp(
    loadConfig({
      PORT: '0',
      HTTPS_PORT: '0',
      STATE_FOLDER: join(folder, 'callee'),
      JWT_FACTORY_URL: factoryUrl,
      VERIFY_ISSUED_TOKENS: 'offline',
      STATUS_LISTS_URL: `${PUBLIC_URL}/status-lists/`,
    }),
    log,
  )
  services.push(callee)
  calleeUrl = (await callee.start()).http as string
})
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()))
  await rm(folder, { recursive: true })
})

const issue = async (claims: object = { aud: 'serviceb' }, keyId = 'servicea') =>
  (await supertest(factoryUrl).post(`/issueToken/${keyId}`).send(claims).expect(200)).text
const call = (token: string) =>
  supertest(calleeUrl).get('/scenario1-server').set('authorization', `Bearer ${token}`)
const revoke = (token: string) =>
  supertest(factoryUrl).post('/revoke').type('form').send({ token }).expect(200)

describe('service B with VERIFY_ISSUED_TOKENS=offline', () => {
  it('accepts the factory’s tokens, and no others', async () => {
    const { body } = await call(await issue()).expect(200)
    expect(body).toMatchObject({ valid: true, claims: { iss: 'https://jwt-factory/', sub: 'servicea' } })
    const refused = await Promise.all([
      issue({ aud: 'servicec' }).then(call),
      issue({ aud: 'serviceb', sub: 'servicec' }).then(call),
      // A key of another key ID, in the name of service A.
      issue({ aud: 'serviceb', sub: 'servicea' }, 'serviceb').then(call),
    ])
    expect(refused.map(({ status, body: { error } }) => [status, error.message])).toEqual([
      [401, 'jwt audience invalid. expected: serviceb'],
      [401, 'jwt subject invalid. expected: servicea'],
      [401, 'invalid signature'],
    ])
  })

  it('AL-40 rejects a revoked token within the ttl of the list', async () => {
    const delays: number[] = []
    const other = await issue()
    for (let round = 0; round < 3; round += 1) {
      const token = await issue()
      await call(token).expect(200)
      await revoke(token)
      const revokedAt = performance.now()
      let answer = await call(token)
      while (answer.status === 200 && performance.now() - revokedAt < 2 * LIMIT_MS) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        answer = await call(token)
      }
      delays.push(Math.round(performance.now() - revokedAt))
      expect([answer.status, answer.body.error]).toEqual([
        401,
        { name: 'JsonWebTokenError', message: 'jwt revoked' },
      ])
    }
    process.stdout.write(
      `offline, ttl ${TTL_SECONDS} s: revoked tokens rejected after ${delays.join(', ')} ms\n`,
    )
    expect(Math.max(...delays)).toBeLessThan(LIMIT_MS)
    await call(other).expect(200)
  }, 30_000)

  it('verifies while the factory is down, and sees revocations that survived its restart', async () => {
    const [token, revoked] = [await issue(), await issue()]
    await call(token).expect(200)
    await revoke(revoked)
    await factory.stop()
    await new Promise((resolve) => setTimeout(resolve, TTL_SECONDS * 1_000))
    await call(token).expect(200)
    await startFactory()
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await call(token).expect(200)
    const { status, body } = await call(revoked)
    expect([status, body.error.message]).toEqual([401, 'jwt revoked'])
  }, 30_000)
})
