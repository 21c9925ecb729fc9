import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { startTier, type TestTier } from '../testing/tier.ts'

/** The endpoints and statuses in nginx's documentation (ngx_http_api_module, /http/keyvals/). */
describe('/api/8/http/keyvals/', () => {
  let tier: TestTier
  beforeAll(async () => {
    tier = await startTier({ proxies: 1 })
  })
  afterAll(() => tier.stop())
  beforeEach(async () => {
    await ask('DELETE', 'tokens')
  })

  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await tier.operate(0, `/api/8/http/keyvals/${path}`, {
      method,
      // The default content type of curl -d.
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }
  const errorOf = async (answer: ReturnType<typeof ask>) => {
    const { status, body } = await answer
    expect(body).toEqual({
      error: { status, code: expect.any(String), text: expect.any(String) },
      request_id: expect.any(String),
      href: 'https://nginx.org/en/docs/http/ngx_http_api_module.html',
    })
    return [status, body.error.code, body.error.text]
  }

  it('lists the zone with its pairs, or only its name', async () => {
    expect(await ask('GET', '')).toEqual({ status: 200, body: { tokens: {} } })
    await ask('POST', 'tokens', { 'user1:curl': '0' })
    expect(await ask('GET', '')).toEqual({ status: 200, body: { tokens: { 'user1:curl': '0' } } })
    expect(await ask('GET', '?fields=')).toEqual({ status: 200, body: ['tokens'] })
  })

  it('returns all pairs of the zone, or one', async () => {
    await tier.get(0, 'user1', { agent: 'curl' })
    await ask('POST', 'tokens/', { 'user2:x': '0' })
    const { body } = await ask('GET', 'tokens')
    expect(body).toEqual({
      'user1:curl': expect.stringMatching(/^jti=[\w-]{36} exp=20\d\d-.*Z$/),
      'user2:x': '0',
    })
    expect(await ask('GET', 'tokens?key=user2:x')).toEqual({ status: 200, body: { 'user2:x': '0' } })
    expect(await errorOf(ask('GET', 'tokens?key=gone:x'))).toEqual([
      404,
      'KeyvalKeyNotFound',
      'key "gone:x" not found',
    ])
  })

  it('adds a new key, one at a time unless the zone is empty', async () => {
    expect(await ask('POST', 'tokens', { 'a:x': '0', 'b:x': 0 })).toEqual({ status: 201, body: undefined })
    expect(await errorOf(ask('POST', 'tokens', { 'a:x': '0' }))).toEqual([
      409,
      'KeyvalKeyExists',
      'key "a:x" already exists',
    ])
    expect(await errorOf(ask('POST', 'tokens', { 'c:x': '0', 'd:x': '0' }))).toEqual([
      400,
      'KeyvalFormatError',
      'only one key can be added',
    ])
  })

  it('blocks for `expire` milliseconds', async () => {
    await ask('POST', 'tokens', { 'user3:curl/7.86.0': { value: '0', expire: 5_000 } })
    expect((await tier.get(0, 'user3')).status).toBe(403)
    tier.clock.advance(4_999)
    expect((await tier.get(0, 'user3')).status).toBe(403)
    tier.clock.advance(1)
    expect((await tier.get(0, 'user3')).status).toBe(200)
  })

  it('modifies one existing key: "0" blocks, null removes', async () => {
    await tier.get(0, 'user4', { agent: 'x' })
    expect(await ask('PATCH', 'tokens/', { 'user4:x': '0' })).toEqual({ status: 204, body: undefined })
    expect((await ask('GET', 'tokens')).body).toEqual({ 'user4:x': '0' })
    expect(await ask('PATCH', 'tokens', { 'user4:x': null })).toEqual({ status: 204, body: undefined })
    expect((await ask('GET', 'tokens')).body).toEqual({})
    expect(await errorOf(ask('PATCH', 'tokens', { 'user4:x': '0' }))).toEqual([
      404,
      'KeyvalKeyNotFound',
      'key "user4:x" not found',
    ])
    expect((await errorOf(ask('PATCH', 'tokens', { 'a:x': '0', 'b:x': '0' })))[2]).toBe(
      'only one key can be updated',
    )
  })

  it('empties the zone', async () => {
    await ask('POST', 'tokens', { 'a:x': '0', 'b:x': '0' })
    expect(await ask('DELETE', 'tokens')).toEqual({ status: 204, body: undefined })
    expect((await ask('GET', 'tokens')).body).toEqual({})
  })

  it.each([
    ['POST', 'not json', 415, 'JsonError'],
    ['POST', '', 415, 'JsonError'],
    ['PATCH', '{"a":', 415, 'JsonError'],
    ['POST', [], 400, 'KeyvalFormatError'],
    ['POST', {}, 400, 'KeyvalFormatError'],
    ['POST', { 'a:x': true }, 400, 'KeyvalFormatError'],
    ['POST', { 'a:x': null }, 400, 'KeyvalFormatError'],
    ['POST', { 'a:x': '1' }, 400, 'KeyvalFormatError'],
    ['POST', { 'a:x': { value: '0', expire: 0 } }, 400, 'KeyvalFormatError'],
    ['POST', { 'a:x': { value: '0', expire: 1e12 } }, 400, 'KeyvalFormatError'],
    ['POST', { 'a:x': { value: '0', ttl: 5 } }, 400, 'KeyvalFormatError'],
    ['POST', { ['a'.repeat(3_000)]: '0' }, 400, 'KeyvalFormatError'],
    ['POST', `{"a:x":"${'0'.repeat(70_000)}"}`, 413, 'RequestEntityTooLarge'],
    ['PUT', { 'a:x': '0' }, 405, 'MethodDisabled'],
  ])('answers %s %j with %d %s', async (method, body, status, code) => {
    expect((await errorOf(ask(method, 'tokens', body))).slice(0, 2)).toEqual([status, code])
    expect((await ask('GET', 'tokens')).body).toEqual({})
  })

  it('has one zone and nine versions', async () => {
    expect((await errorOf(ask('GET', 'others')))[1]).toBe('KeyvalNotFound')
    const version = await tier.operate(0, '/api/99/http/keyvals/')
    expect(version.status).toBe(404)
    expect(await version.json()).toMatchObject({ error: { code: 'UnknownVersion' } })
    expect((await tier.operate(0, '/api/9/http/keyvals/')).status).toBe(200)
  })
})
