import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, HttpError, UnusableKeys } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks } from '@hallpass/tokens'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { publishedKeys } from './published-keys.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'published-keys-'))
  file = join(folder, 'jwks.json')
})
afterEach(() => rm(folder, { recursive: true }))

const keysMissing = () => new HttpError(503, 'keys_missing', 'The caller has published no keys yet.')
let lines: string[]
let unusable: UnusableKeys
beforeEach(() => {
  lines = []
  unusable = new UnusableKeys(createLog('test', 'info', { write: (line) => void lines.push(line) }))
})
const finder = (clock = new ManualClock()) =>
  publishedKeys(
    { keySetFile: (stateFolder) => join(stateFolder, 'jwks.json'), keysMissing },
    folder,
    clock.now,
    unusable,
  )

const publish = async (...kids: string[]) => {
  const keys = await Promise.all(kids.map((kid) => generateSigningKey('EdDSA', kid)))
  await writeFile(file, JSON.stringify(publicJwks(keys)))
}

describe('publishedKeys', () => {
  it('names keys that cannot be used once, and finds the others', async () => {
    const { keys } = publicJwks([await generateSigningKey('EdDSA', 'first')])
    const ed448 = { kty: 'OKP', crv: 'Ed448', kid: 'ed448', x: 'AAAA' }
    await writeFile(file, JSON.stringify({ keys: [ed448, ...keys] }))
    const find = finder()
    expect((await find('', 'first', 'EdDSA'))?.kid).toBe('first')
    expect(await find('', 'ed448', 'EdDSA')).toBeUndefined()
    const why = 'key 1 ("ed448"): No supported algorithm uses the key type "OKP" "Ed448".'
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 40, keysOf: file, leftOut: why }])
    expect(unusable.warnings['published keys']?.()).toBe(`Keys of ${file} are left out: ${why}`)
  })

  it('finds a new key with the first token that uses it', async () => {
    const find = finder()
    await publish('first')
    expect((await find('', 'first', 'EdDSA'))?.kid).toBe('first')
    await publish('second', 'first')
    expect((await find('', 'second', 'EdDSA'))?.kid).toBe('second')
  })

  it('finds the key that has replaced another under the same kid with the first token that it signed', async () => {
    const clock = new ManualClock()
    const find = finder(clock)
    await publish('default')
    const old = await find('', 'default', 'EdDSA')
    if (!old) throw new Error('no key')
    expect(await find.replaced?.('', 'default', 'EdDSA', old)).toBeUndefined()
    await publish('default')
    expect(await find('', 'default', 'EdDSA')).toBe(old)
    const young = await find.replaced?.('', 'default', 'EdDSA', old)
    expect(young?.kid).toBe('default')
    expect(young?.publicKey.equals(old.publicKey)).toBe(false)
    expect(await find('', 'default', 'EdDSA')).toBe(young)
    for (const kid of ['other', undefined])
      expect(await find.replaced?.('', kid, 'EdDSA', old)).toBeUndefined()
    // The file was written again, with the same key.
    await writeFile(file, `${await readFile(file, 'utf8')}\n`)
    expect(young && (await find.replaced?.('', 'default', 'EdDSA', young))).toBeUndefined()
  })

  it('notices within a second that a key was removed', async () => {
    const clock = new ManualClock()
    const find = finder(clock)
    await publish('first', 'second')
    expect(await find('', 'first', 'EdDSA')).toBeDefined()
    await publish('second')
    expect(await find('', 'first', 'EdDSA')).toBeDefined()
    clock.advance(1_000)
    expect(await find('', 'first', 'EdDSA')).toBeUndefined()
  })

  it('finds no key for an unknown kid or without one', async () => {
    const find = finder()
    await publish('first')
    for (const kid of ['__proto__', '../first', 'x', undefined])
      expect(await find('', kid, 'EdDSA')).toBeUndefined()
  })

  it('names the step that creates missing keys, and finds them later', async () => {
    const find = finder()
    await expect(find('', 'first', 'EdDSA')).rejects.toMatchObject({
      status: 503,
      code: 'keys_missing',
      message: 'The caller has published no keys yet.',
    })
    await publish('first')
    expect(await find('', 'first', 'EdDSA')).toBeDefined()
  })

  const oct = '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'

  it('rejects an invalid JWKS and uses the next valid one', async () => {
    const find = finder()
    await writeFile(file, oct)
    await expect(find('', 'first', 'EdDSA')).rejects.toMatchObject({
      status: 503,
      code: 'keys_unusable',
      cause: { name: 'KeySetError', reason: 'symmetric_key' },
    })
    await publish('first')
    expect(await find('', 'first', 'EdDSA')).toBeDefined()
  })

  it.each([
    ['replaced by an invalid one', () => writeFile(file, oct), 'keys_unusable'],
    ['deleted', () => rm(file), 'keys_missing'],
  ])('uses the last valid JWKS for less than ten seconds after it was %s', async (_what, spoil, code) => {
    const clock = new ManualClock()
    const find = finder(clock)
    await publish('first')
    expect(await find('', 'first', 'EdDSA')).toBeDefined()
    await spoil()
    for (const advance of [1_000, 8_999]) {
      clock.advance(advance)
      expect(await find('', 'first', 'EdDSA')).toBeDefined()
      expect(await find('', 'second', 'EdDSA')).toBeUndefined()
    }
    clock.advance(1_000)
    for (const _attempt of [1, 2])
      await expect(Promise.resolve().then(() => find('', 'first', 'EdDSA'))).rejects.toMatchObject({
        status: 503,
        code,
      })
    await publish('first')
    expect(await find('', 'first', 'EdDSA')).toBeDefined()
  })

  it('notices a removed key although its clock was set back', async () => {
    const clock = new ManualClock()
    const find = finder(clock)
    await publish('first', 'second')
    expect(await find('', 'first', 'EdDSA')).toBeDefined()
    await publish('second')
    clock.advance(-3_600_000)
    expect(await find('', 'first', 'EdDSA')).toBeUndefined()
  })
})
