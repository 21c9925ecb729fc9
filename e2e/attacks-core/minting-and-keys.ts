/**
 * Section A of the attack catalog, AL-01 to AL-09, against running services. Callers must authenticate, as outside
 * development mode.
 */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCompact, publicJwk, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { describe, expect, it } from '@jest/globals'
import { projectFiles } from '../../scripts/project-files.ts'
import { startTestSuite, withEnv } from '../../scripts/test-suite.ts'
import { forge, hmac } from './lab.ts'
import { callers, lab, guarded as services } from './targets.ts'

const root = join(import.meta.dirname, '../..')

describe('token issuance and keys, with authenticated callers', () => {
  const mint = async (
    claims: object,
    {
      as = 'servicea',
      keyId = 'servicea',
    }: { as?: 'servicea' | 'serviceb' | 'operator'; keyId?: string } = {},
  ) => services.post('jwt-factory', `/issueToken/${keyId}`, claims).set('authorization', await callers.as(as))
  const publicKey = async () =>
    (await services.get('jwt-factory', '/utils/publicKey/servicea')).body.publicKey

  it('the scenarios still work', async () => {
    for (const scenario of ['/scenario1', '/scenario3'])
      expect((await services.get('service-a', scenario).expect(200)).body.valid).toBe(true)
    const { body } = await services.get('service-a', '/scenario2').expect(200)
    expect([body.serviceb.valid, body.servicec.valid]).toEqual([true, true])
  })

  it('AL-01 tokens require credentials, and have only the caller as subject', async () => {
    const bare = await services.post('jwt-factory', '/issueToken/servicea', { aud: 'serviceb' })
    expect([bare.status, bare.body.error.code]).toEqual([401, 'invalid_client'])
    expect(bare.headers['www-authenticate']).toBe('Bearer realm="https://jwt-factory/"')
    for (const as of ['serviceb', 'operator'] as const) {
      const { status, body } = await mint({ aud: 'serviceb' }, { as })
      expect([status, body.error.code]).toEqual([403, 'not_your_key'])
    }
    const own = await mint({ aud: 'serviceb' })
    expect([own.status, parseCompact(own.text).payload.sub]).toEqual([200, 'servicea'])
  })

  it('AL-02 the body cannot change issuer, subject or times, or add claims that were not granted', async () => {
    const { payload } = parseCompact(
      (
        await mint({
          aud: 'serviceb',
          iss: 'https://evil/',
          sub: 'operator',
          exp: 9999999999,
          iat: 0,
          nbf: 0,
          jti: 'mine',
        })
      ).text,
    )
    expect(payload).toEqual({
      iss: 'https://jwt-factory/',
      sub: 'servicea',
      aud: 'serviceb',
      exp: expect.any(Number),
      iat: expect.any(Number),
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect((payload.exp as number) - (payload.iat as number)).toBe(3600)
    const admin = await mint({ aud: 'serviceb', admin: true })
    expect([admin.status, admin.body.error.code]).toEqual([400, 'claim_not_allowed'])
    const scope = await mint({ aud: 'serviceb', scope: 'orders:read orders:write' })
    expect([scope.status, scope.body.error.code]).toEqual([400, 'invalid_scope'])
    expect((await mint({ aud: 'serviceb', scope: 'orders:read' })).status).toBe(200)
  })

  it('AL-03 a token has one audience, from the caller’s list', async () => {
    for (const aud of [['serviceb', 'servicec'], ['serviceb'], 'jwt-factory', '', undefined, 5]) {
      const { status, body } = await mint({ aud })
      expect([status, body.error.code]).toEqual([400, 'invalid_target'])
    }
  })

  it('AL-04 only an administrator can replace keys, and valid tokens stay valid after a rotation', async () => {
    const before = await publicKey()
    const token = (await mint({ aud: 'serviceb' })).text
    const attempts: [string, string | undefined, number, string][] = [
      ['/keys/servicea', undefined, 401, 'invalid_client'],
      ['/utils/dump', undefined, 401, 'invalid_client'],
      ['/dump', undefined, 401, 'invalid_client'],
      ['/keys/servicea', await callers.as('servicea'), 403, 'not_an_administrator'],
    ]
    for (const [path, authorization, status, code] of attempts) {
      const attempt = services.post('jwt-factory', path)
      const response = await (authorization ? attempt.set('authorization', authorization) : attempt)
      expect([response.status, response.body.error.code]).toEqual([status, code])
    }
    const atA = await services.post('service-a', '/gen-keys')
    expect([atA.status, atA.body.error.code]).toEqual([401, 'invalid_client'])
    expect(await publicKey()).toBe(before)
    await services
      .post('jwt-factory', '/keys/servicea')
      .set('authorization', await callers.as('operator'))
      .expect(200)
    expect(await publicKey()).not.toBe(before)
    const { body } = await services
      .post('jwt-factory', '/verify/servicea', { token, aud: 'serviceb', sub: 'servicea' })
      .set('authorization', await callers.as('serviceb'))
    expect(body.valid).toBe(true)
  })

  it('AL-05 a path is not a valid key ID', async () => {
    const before = await readdir(services.stateFolder, { recursive: true })
    for (const keyId of [
      '..%2f..%2fpwn',
      '%2e%2e%2fpwn',
      'a%2fb',
      'a%5cb',
      'a%00',
      '.hidden',
      'x'.repeat(300),
    ]) {
      const { status, body } = await services
        .post('jwt-factory', `/keys/${keyId}`)
        .set('authorization', await callers.as('operator'))
      expect([status, body.error.code]).toEqual([400, 'invalid_key_id'])
    }
    await services
      .post('jwt-factory', '/dump')
      .set('authorization', await callers.as('operator'))
      .expect(200)
    const made = (await readdir(services.stateFolder, { recursive: true })).filter(
      (path) => !before.includes(path),
    )
    for (const path of made) expect(path).toMatch(/^keys\/servicea[\w.-]*\.pem(\.\d+\.[0-9a-f]+\.part)?$/)
  })

  it('AL-06 property names of every JavaScript object are unknown keys, without an internal error', async () => {
    for (const keyId of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const lookUp = await services.get('jwt-factory', `/utils/publicKey/${keyId}`)
      expect([lookUp.status, lookUp.body.error.code]).toEqual([404, 'key_not_found'])
      const create = await services
        .post('jwt-factory', `/keys/${keyId}`)
        .set('authorization', await callers.as('operator'))
      expect([create.status, create.body.error.code]).toEqual([400, 'invalid_key_id'])
      const verify = await services
        .post('jwt-factory', `/verify/${keyId}`, { token: 'x', aud: 'serviceb', sub: 'servicea' })
        .set('authorization', await callers.as('serviceb'))
      expect([verify.status, verify.body.code]).toEqual([404, 'key_not_found'])
      for (const { text } of [lookUp, create, verify]) expect(text).not.toMatch(/ at .*\.[jt]s/)
    }
  })

  it('AL-07 private keys are owner-only files and not in the repository', async () => {
    let found = 0
    for (const entry of await readdir(services.stateFolder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      // A temporary file of a write can disappear at any moment.
      if (!(await readFile(path, 'utf8').catch(() => '')).includes('PRIVATE KEY')) continue
      found += 1
      expect([path, (await stat(path)).mode & 0o777]).toEqual([path, 0o600])
    }
    expect(found).toBeGreaterThan(2)
    const leaks: string[] = []
    for (const path of projectFiles(root)) {
      const text = await readFile(join(root, path), 'utf8').catch(() => '')
      if (/-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40,}/.test(text)) leaks.push(path)
    }
    expect(leaks).toEqual([])
  })
})

describe('guessed secrets and invalid keys', () => {
  it('AL-08 no HMAC secret is accepted, guessed or not', async () => {
    for (const target of lab.targets)
      for (const secret of ['undefined', 'null', '', 'secret', 'changeme', '0'.repeat(64)]) {
        const token = forge({ ...target.header, alg: 'HS256' }, target.claims(), hmac(secret))
        const { status, body } = await target.present(token)
        expect([target.name, status, body.error.message]).toEqual([target.name, 401, 'invalid algorithm'])
      }
    const withSecret = startTestSuite(root, {
      only: ['jwt-factory'],
      keys: false,
      arrange: (processes) => withEnv(processes, { 'jwt-factory': { ALGORITHM: 'HS256' } }),
    })
    await expect(withSecret).rejects.toThrow('ALGORITHM must be one of RS256, PS256, ES256, EdDSA')
  })

  it('AL-09 a dangerous or unusable key set is rejected completely, and the last valid one stays in use', async () => {
    const [, target] = lab.targets
    const file = join(lab.services.stateFolder, 'scenario-3-keys/jwks.json')
    const good = await readFile(file, 'utf8')
    expect((await target.present(target.token())).status).toBe(200)
    const intruder = testKey('RS256', 'intruder')
    const jwk = publicJwk(intruder)
    const sets: [string, object[]][] = [
      [
        'a private part',
        [{ ...intruder.privateKey.export({ format: 'jwk' }), kid: 'intruder', alg: 'RS256' }],
      ],
      ['a shared secret beside it', [jwk, { kty: 'oct', k: 'c2VjcmV0', kid: 'x' }]],
      ['a kid that two keys have', [jwk, { ...publicJwk(testKey('RS256', 'other intruder')), kid: jwk.kid }]],
      ['only RSA of 1024 bits', [{ ...jwk, n: (jwk.n as string).slice(0, 171) }]],
      ['only an exponent of 1', [{ ...jwk, e: 'AQ' }]],
      ['no set', {} as never],
    ]
    for (const [what, keys] of sets) {
      await writeFile(file, JSON.stringify(Array.isArray(keys) ? { keys } : keys))
      const token = await signToken(target.claims(), intruder, { lifetimeSeconds: 30 })
      expect([what, (await target.present(token)).status]).toEqual([what, 401])
      expect([what, (await target.present(target.token())).status]).toEqual([what, 200])
    }
    await writeFile(file, good)
  })
})
