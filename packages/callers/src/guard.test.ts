import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { httpService, sendJson, silentLog } from '@hallpass/service-kit'
import { developmentConfig, useService } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import type { CallersConfig } from './config.ts'
import { privateKeyJwt } from './credentials.ts'
import { callerGuard, callerOf } from './guard.ts'

const AUDIENCE = 'https://guarded/'

/** Polls until a condition holds, for at most the two seconds within which a changed file must have taken effect. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 2_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function guarded(config: CallersConfig) {
  const callers = callerGuard(config, AUDIENCE)
  await callers.load()
  return httpService({
    name: 'guarded',
    log: silentLog,
    config: developmentConfig,
    warnings: callers.warnings,
    listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
    routes: (app) => {
      app.get('/known', callers.known, (req, res) =>
        sendJson(res, 200, { caller: callerOf(req)?.subject ?? null }),
      )
      app.get('/admin', callers.admin, (req, res) =>
        sendJson(res, 200, { caller: callerOf(req)?.subject ?? null }),
      )
    },
  })
}

describe('an open guard', () => {
  const service = useService(() => guarded({ mode: 'open' }))

  it('accepts every client on this machine', async () => {
    for (const path of ['/known', '/admin'])
      await request(service.url()).get(path).expect(200, { caller: null })
  })

  it('rejects web pages of other sites in the developer’s browser', async () => {
    const get = () => request(service.url()).get('/admin')
    for (const origin of ['https://evil.example', 'http://localhost.evil.example', 'null']) {
      const { status, body } = await get().set('origin', origin)
      expect([status, body.error.code]).toEqual([403, 'foreign_origin'])
    }
    expect((await get().set('sec-fetch-site', 'cross-site')).body.error.code).toBe('foreign_origin')
    await get().set('origin', 'http://localhost:4000').set('sec-fetch-site', 'same-site').expect(200)
  })

  it('rejects pages whose host name resolves to this machine (DNS rebinding)', async () => {
    const { status, body } = await request(service.url()).get('/admin').set('host', 'evil.example:5555')
    expect([status, body.error.code]).toEqual([403, 'foreign_host'])
    await request(service.url()).get('/admin').set('host', '[::1]:5555').expect(200)
  })
})

describe('an authenticating guard', () => {
  let folder: string
  let keys: Record<'servicea' | 'operator', SigningKey>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'guard-'))
    keys = { servicea: await generateSigningKey('ES256'), operator: await generateSigningKey('ES256') }
    for (const [name, key] of Object.entries(keys))
      await writeFile(join(folder, `${name}.json`), JSON.stringify(publicJwks([key])))
    const callers = [
      { method: 'private_key_jwt', clientId: 'servicea', jwksFile: 'servicea.json', keyId: 'servicea' },
      { method: 'private_key_jwt', clientId: 'operator', jwksFile: 'operator.json', admin: true },
    ]
    await writeFile(join(folder, 'callers.json'), JSON.stringify({ callers }))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const service = useService(() =>
    guarded({ mode: 'authenticated', trustFile: join(folder, 'callers.json'), leewaySeconds: 5 }),
  )

  const as = (clientId: 'servicea' | 'operator') =>
    privateKeyJwt({ clientId, audience: AUDIENCE, key: keys[clientId] })()

  it('requires a credential', async () => {
    const { status, headers, body } = await request(service.url()).get('/known')
    expect([status, body.error.code]).toEqual([401, 'invalid_client'])
    expect(headers['www-authenticate']).toBe(`Bearer realm="${AUDIENCE}"`)
  })

  it('accepts trusted callers, and only administrators on admin routes', async () => {
    await request(service.url())
      .get('/known')
      .set('authorization', await as('servicea'))
      .expect(200, { caller: 'servicea' })
    await request(service.url())
      .get('/admin')
      .set('authorization', await as('operator'))
      .expect(200, { caller: 'operator' })
    const { status, body } = await request(service.url())
      .get('/admin')
      .set('authorization', await as('servicea'))
    expect([status, body.error.code]).toEqual([403, 'not_an_administrator'])
  })

  it('stays ready with a refused trusted-callers file, and says so in the body of /readyz', async () => {
    const path = join(folder, 'callers.json')
    const valid = await readFile(path, 'utf8')
    const ready = () => request(service.url()).get('/readyz')
    await ready().expect(200, { status: 'ready' })
    await writeFile(path, 'callers: []')
    await until(async () => (await ready()).body.warnings !== undefined)
    const { status, body } = await ready()
    expect([status, body.status]).toEqual([200, 'ready'])
    expect(body.warnings.TRUSTED_CALLERS_FILE).toMatch(
      /^The changed file was refused; the callers that were read at .* stay active\. TRUSTED_CALLERS_FILE .*callers /,
    )
    await request(service.url())
      .get('/known')
      .set('authorization', await as('servicea'))
      .expect(200)
    await writeFile(path, valid)
    await until(async () => (await ready()).body.warnings === undefined)
  })

  it('rejects a caller within two seconds after it has been removed from the file', async () => {
    const path = join(folder, 'callers.json')
    const valid = await readFile(path, 'utf8')
    const { callers } = JSON.parse(valid) as { callers: { clientId: string }[] }
    const others = callers.filter(({ clientId }) => clientId !== 'servicea')
    await writeFile(path, JSON.stringify({ callers: others }))
    const known = async () =>
      (
        await request(service.url())
          .get('/known')
          .set('authorization', await as('servicea'))
      ).status
    await until(async () => (await known()) === 401)
    await writeFile(path, valid)
    await until(async () => (await known()) === 200)
  })

  it('rejects an assertion in the URL, and two assertions', async () => {
    const assertion = (await as('servicea')).replace('Bearer ', '')
    const inUrl = await request(service.url()).get(`/known?access_token=${assertion}`)
    expect([inUrl.status, inUrl.body.error.code]).toEqual([400, 'invalid_request'])
  })
})

describe('a closed guard', () => {
  const service = useService(() => guarded({ mode: 'closed' }))

  it('rejects every caller and names TRUSTED_CALLERS_FILE', async () => {
    for (const path of ['/known', '/admin']) {
      const { status, body } = await request(service.url()).get(path)
      expect([status, body.error]).toEqual([
        403,
        {
          code: 'closed',
          message: 'This operation is disabled. List allowed callers in TRUSTED_CALLERS_FILE.',
        },
      ])
    }
  })
})
