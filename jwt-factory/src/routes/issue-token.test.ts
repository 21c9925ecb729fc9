import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { parseCompact } from '@hallpass/tokens'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { useClosedFactory, useFactory } from '../testing.ts'

const NOW = 1_767_225_600

describe('POST /issueToken/:keyId', () => {
  const factory = useFactory({
    clock: new ManualClock('2026-01-01T00:00:00Z').now,
    env: { ALGORITHM: 'RS256' },
  })
  beforeAll(() => factory.get('/keys/servicea').expect(200))

  const issue = async (body?: object, query = '') => {
    const response = await factory.post(`/issueToken/servicea${query}`, body).expect(200)
    return { response, ...parseCompact(response.text) }
  }

  it('returns a token as plain text: issuer, key ID and claims, valid for one hour', async () => {
    const { response, header, payload } = await issue({ aud: 'serviceb' })
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(response.headers['cache-control']).toBe('no-store')
    expect(header).toEqual({ alg: 'RS256', typ: 'JWT', kid: expect.stringMatching(/^servicea-[\w-]{22}$/) })
    expect(Object.keys(payload).slice(0, 5)).toEqual(['iss', 'sub', 'aud', 'exp', 'iat'])
    expect(payload).toEqual({
      iss: 'https://jwt-factory/',
      sub: 'servicea',
      aud: 'serviceb',
      exp: NOW + 3600,
      iat: NOW,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  it('needs no body', async () => {
    expect((await issue()).payload).toMatchObject({ iss: 'https://jwt-factory/', sub: 'servicea' })
  })

  it('ignores exp, iat, nbf and jti in the body', async () => {
    const { payload } = await issue({ aud: 'serviceb', exp: 9_999_999_999, iat: 'abc', nbf: 1, jti: 'mine' })
    expect(payload).toMatchObject({ exp: NOW + 3600, iat: NOW })
    expect(payload.nbf).toBeUndefined()
    expect(payload.jti).not.toBe('mine')
  })

  it('lets the body replace iss and sub in development mode, as documented', async () => {
    expect((await issue({ iss: 'https://me/', sub: 'someone', roles: ['x'] })).payload).toMatchObject({
      iss: 'https://me/',
      sub: 'someone',
      roles: ['x'],
    })
  })

  it.each(['1', '123', 'true', 'yes'])('issues an expired token with ?expired=%s', async (value) => {
    expect((await issue({ aud: 'serviceb' }, `?expired=${value}`)).payload).toMatchObject({ exp: NOW - 3600 })
  })

  it.each(['?expired=', '?expired=0', '?expired=false', '?expired', '?expires=1'])(
    'issues a valid token with %s',
    async (query) => {
      expect((await issue({ aud: 'serviceb' }, query)).payload).toMatchObject({ exp: NOW + 3600 })
    },
  )

  it.each([
    ['an unknown key', '/issueToken/nobody', {}, 404, 'key_not_found'],
    ['a built-in name of JavaScript as the key ID', '/issueToken/__proto__', {}, 404, 'key_not_found'],
    ['a path as the key ID', '/issueToken/..%2fx', {}, 400, 'invalid_key_id'],
    ['a subject that is not a string', '/issueToken/servicea', { sub: 5 }, 400, 'invalid_claim'],
    ['an issuer that is not a string', '/issueToken/servicea', { iss: null }, 400, 'invalid_claim'],
    ['a body that is a list', '/issueToken/servicea', ['x'], 400, 'not_an_object'],
    ['claims named like a constructor', '/issueToken/servicea', { constructor: 1 }, 400, 'forbidden_member'],
    [
      'more claims than a verifier would accept',
      '/issueToken/servicea',
      { x: 'y'.repeat(9000) },
      400,
      'claims_too_large',
    ],
  ])('rejects %s', async (_what, path, body, status, code) => {
    const response = await factory.post(path, body)
    expect([response.status, response.body.error?.code]).toEqual([status, code])
  })

  it.each([
    ['malformed JSON', 'application/json', '{"aud":', 400, 'malformed_json'],
    ['another content type', 'text/plain', '{}', 400, 'wrong_content_type'],
    ['more than 64 KiB', 'application/json', `{"x":"${'y'.repeat(70_000)}"}`, 413, 'body_too_large'],
    ['deep JSON', 'application/json', `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`, 400, 'json_too_deep'],
  ])('rejects %s', async (_what, type, text, status, code) => {
    const response = await factory.post('/issueToken/servicea').type(type).send(text)
    expect([response.status, response.body.error?.code]).toEqual([status, code])
  })

  it.each([
    [
      '9007199254740993',
      'inexact_number',
      '9007199254740993 cannot be represented exactly; send it as a string.',
    ],
    ['1e400', 'inexact_number', '1e400 cannot be represented exactly; send it as a string.'],
    ['1e-400', 'inexact_number', '1e-400 cannot be represented exactly; send it as a string.'],
  ])('rejects a number that it cannot sign exactly: %s', async (source, code, message) => {
    const response = await factory
      .post('/issueToken/servicea')
      .type('application/json')
      .send(`{"aud":"serviceb","data":{"limit":${source}}}`)
    expect([response.status, response.body.error]).toEqual([
      400,
      { code, message: `Member data.limit: ${message}` },
    ])
  })
})

describe('POST /issueToken/:keyId with authenticated callers', () => {
  const factory = useClosedFactory()

  it('loses its rights within two seconds after it was removed from the file; a bad file changes nothing', async () => {
    const path = join(factory.folder.path, 'callers/callers.json')
    const valid = await readFile(path, 'utf8')
    const issue = async () =>
      (
        await factory
          .post('/issueToken/serviceb', { aud: 'serviceb' })
          .set('authorization', await factory.as('serviceb'))
      ).body.error?.code
    expect(await issue()).toBe('key_not_found')
    const { callers } = JSON.parse(valid) as { callers: { clientId: string }[] }
    const changes = [
      [
        JSON.stringify({ callers: callers.filter(({ clientId }) => clientId !== 'serviceb') }),
        'invalid_client',
        '',
      ],
      ['callers: []', 'invalid_client', 'The changed file was refused'],
      [valid, 'key_not_found', ''],
    ] as const
    for (const [content, code, warning] of changes) {
      await writeFile(path, content)
      // The file is examined at most once a second.
      await new Promise((resolve) => setTimeout(resolve, 1_100))
      expect(await issue()).toBe(code)
      const { status, body } = await factory.get('/readyz')
      expect([status, body.status]).toEqual([200, 'ready'])
      expect(body.warnings?.TRUSTED_CALLERS_FILE ?? '').toContain(warning)
    }
  })
  const issueAs = async (name: 'servicea' | 'issuer', keyId: string, body: object) =>
    factory.post(`/issueToken/${keyId}`, body).set('authorization', await factory.as(name))
  beforeAll(async () => {
    const operator = await factory.as('operator')
    await factory.get('/keys/issuer').set('authorization', operator).expect(200)
  })

  it('lets a caller with claims: [sub] set the subject, as the auth tier of the token cache does', async () => {
    const { status, text } = await issueAs('issuer', 'issuer', {
      aud: 'api',
      sub: 'user1',
      roles: ['reader'],
    })
    expect([status, parseCompact(text).payload]).toEqual([
      200,
      expect.objectContaining({ iss: 'https://jwt-factory/', sub: 'user1', aud: 'api', roles: ['reader'] }),
    ])
  })

  it.each([[''], [7], [null], [['user1']]])(
    'sets sub to the caller when the requested sub is %j, which is not a valid subject',
    async (sub) => {
      const { status, text } = await issueAs('issuer', 'issuer', { aud: 'api', sub })
      expect([status, parseCompact(text).payload.sub]).toEqual([200, 'issuer'])
    },
  )

  it('ignores sub in the body and uses the caller if the caller is not allowed to set subjects', async () => {
    const { status, text } = await issueAs('servicea', 'servicea', {
      aud: 'api',
      sub: 'user1',
      iss: 'https://me/',
    })
    expect([status, parseCompact(text).payload]).toEqual([
      200,
      expect.objectContaining({ iss: 'https://jwt-factory/', sub: 'servicea' }),
    ])
  })

  it.each([
    ['a claim that the file does not allow', 'issuer', { aud: 'api', admin: true }, 400, 'claim_not_allowed'],
    [
      'a claim for a caller that may set none',
      'servicea',
      { aud: 'api', roles: [] },
      400,
      'claim_not_allowed',
    ],
    ['two audiences', 'issuer', { aud: ['api', 'other'], sub: 'user1' }, 400, 'invalid_target'],
    [
      'another audience than the file allows',
      'issuer',
      { aud: 'other', sub: 'user1' },
      400,
      'invalid_target',
    ],
    [
      'a scope that the file does not allow',
      'issuer',
      { aud: 'api', scope: 'read write' },
      400,
      'invalid_scope',
    ],
  ] as const)('rejects %s', async (_what, name, body, status, code) => {
    const response = await issueAs(name, name, body)
    expect([response.status, response.body.error?.code]).toEqual([status, code])
  })

  it('rejects the key of another caller, even from callers that may set subjects', async () => {
    const response = await issueAs('issuer', 'servicea', { aud: 'api', sub: 'user1' })
    expect([response.status, response.body.error?.code]).toEqual([403, 'not_your_key'])
  })
})
