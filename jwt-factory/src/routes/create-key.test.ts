import { createPublicKey } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'

const pemOf = ({ publicKey }: { publicKey: string }) => Buffer.from(publicKey, 'base64').toString()

describe('GET /keys/:keyId', () => {
  const factory = useFactory({ env: { ALGORITHM: 'RS256' } })

  it('creates a 2048-bit RSA key on the first call and then returns the same one', async () => {
    const { body } = await factory.get('/keys/servicea').expect(200)
    expect(Object.keys(body)).toEqual(['publicKey'])
    expect(pemOf(body)).toMatch(/^-----BEGIN PUBLIC KEY-----\n/)
    expect(createPublicKey(pemOf(body)).asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 })
    expect((await factory.get('/keys/servicea')).body).toEqual(body)
  })

  it('creates one key for two concurrent calls', async () => {
    const [first, second] = await Promise.all([factory.get('/keys/twice'), factory.get('/keys/twice')])
    expect(first.body).toEqual(second.body)
  })
})

describe('key IDs', () => {
  const factory = useFactory()

  it.each([
    ['a path', '..%2f..%2fx'],
    ['a longer path', 'aaa%2fbbb'],
    ['a NUL', 'a%00b'],
    ['a forged log line', 'x%0Ainfo:%20forged'],
    ['a space', 'a%20b'],
    ['a dot', 'servicea-public.z'],
    ['a non-ASCII letter', 'caf%C3%A9'],
    ['65 characters', 'x'.repeat(65)],
    ['300 characters', 'x'.repeat(300)],
    ['a prototype', '__proto__'],
    ['a constructor', 'constructor'],
    ['a method of every object', 'hasOwnProperty'],
  ])('are rejected when they are %s', async (_what, keyId) => {
    for (const method of ['get', 'post'] as const) {
      const { status, body } = await factory[method](`/keys/${keyId}`)
      expect([status, body.error.code]).toEqual([400, 'invalid_key_id'])
    }
    expect((await factory.get('/utils/keys')).body).not.toContain(decodeURIComponent(keyId))
  })

  it('are rejected when their percent-encoding is invalid', async () => {
    const { status, body } = await factory.get('/keys/%zz')
    expect([status, body.error.code]).toEqual([400, 'malformed_path'])
  })

  it('may have up to 64 letters, digits, hyphens and underscores', async () => {
    for (const keyId of ['service-a', 'A_1', 'x'.repeat(64)]) await factory.get(`/keys/${keyId}`).expect(200)
  })

  it('leave nothing on disk when they are rejected', async () => {
    await factory.post('/utils/dump').expect(200, 'OK')
    expect((await readdir(factory.folder.path)).sort()).toEqual(['issuer', 'key-encryption.key', 'keys'])
    for (const file of await readdir(join(factory.folder.path, 'keys')))
      expect(file).toMatch(/^(service-a|A_1|x{64})/)
  })
})

describe('POST /keys/:keyId', () => {
  const factory = useFactory()
  // By whole names and contents: the next key is saved in the background, by way of files whose names are longer.
  const savedAs = async (wanted: string | RegExp) => {
    const folder = join(factory.folder.path, 'keys')
    const names = (await readdir(folder)).filter((name) =>
      typeof wanted === 'string' ? name === wanted : wanted.test(name),
    )
    return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  }

  it('creates the key, and rotates an existing one: the new one signs, the old one still verifies', async () => {
    const first = (await factory.post('/keys/servicea').expect(200)).body
    const token = await factory.issue('servicea')
    const second = (await factory.post('/keys/servicea').expect(200)).body
    expect(second).not.toEqual(first)
    expect((await factory.get('/keys/servicea')).body).toEqual(second)
    const wanted = { aud: 'serviceb', sub: 'servicea' }
    for (const good of [token, await factory.issue('servicea')])
      await factory.post('/verify/servicea', { token: good, ...wanted }).expect(200)
  })

  it('rejects no valid token while keys rotate under load', async () => {
    let rotating = true
    const rotations = (async () => {
      for (let round = 0; round < 10; round += 1) await factory.post('/keys/servicea').expect(200)
      rotating = false
    })()
    const wanted = { aud: 'serviceb', sub: 'servicea' }
    let calls = 0
    while (rotating) {
      const token = await factory.issue('servicea')
      await factory.post('/verify/servicea', { token, ...wanted }).expect(200)
      calls += 1
    }
    await rotations
    expect(calls).toBeGreaterThan(0)
  })

  it('saves rotations automatically after the first dump, so that a restart does not restore the old key', async () => {
    await factory.post('/dump').expect(200)
    const before = pemOf((await factory.get('/keys/servicea').expect(200)).body)
    await factory.issue('servicea')
    const after = pemOf((await factory.post('/keys/servicea').expect(200)).body)
    expect(await savedAs('servicea-public.pem')).toEqual([after])
    expect(await savedAs(/^servicea\.retired-\d+-[\w-]{22}-public\.pem$/)).toContain(before)
  })
})

describe('POST /keys/:keyId with If-Match', () => {
  const factory = useFactory()
  const rotate = (tag: string) => factory.post('/keys/servicea').set('if-match', tag)

  it('rotates only the key that the caller knows, so that a repetition changes nothing', async () => {
    const { headers } = await factory.get('/keys/servicea').expect(200)
    const first = headers.etag as string
    expect(first).toMatch(/^"servicea-[\w-]+"$/)
    const [one, other] = await Promise.all([rotate(first), rotate(first)])
    expect([one.status, other.status].sort()).toEqual([200, 412])
    const [done, late] = one.status === 200 ? [one, other] : [other, one]
    const second = done.headers.etag as string
    expect(second).not.toBe(first)
    expect(late.headers.etag).toBe(second)
    expect(late.body.error).toMatchObject({
      code: 'other_key_signs',
      message: `servicea already signs with ${second.slice(1, -1)}. Nothing was changed.`,
    })
    expect((await factory.get('/keys/servicea')).headers.etag).toBe(second)
    await rotate(`"unknown", ${second}`).expect(200)
  })

  it.each([['*'], ['W/"servicea-x"'], ['servicea-x'], ['']])('refuses %j', async (tag) => {
    const { body } = await rotate(tag).expect(400)
    expect(body.error).toMatchObject({
      code: 'invalid_precondition',
      message: 'If-Match must be the kid of the signing key in quotes, as in ETag.',
    })
  })

  it('creates no key', async () => {
    const { body } = await factory.post('/keys/another').set('if-match', '"x"').expect(404)
    expect(body.error.code).toBe('key_not_found')
  })
})
