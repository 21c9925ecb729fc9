import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { exportPrivatePem, generateSigningKey, parseCompact } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { authorizationFor, credentialConfig, tokenFile } from './credentials.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credentials-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('tokenFile', () => {
  it('sends the content of the file, and notices a renewed token within 10 s', async () => {
    const clock = new ManualClock()
    const path = join(folder, 'token')
    await writeFile(path, 'first\n')
    const authorization = tokenFile(path, clock.now)
    expect(await authorization()).toBe('Bearer first')
    await writeFile(path, 'second\n')
    expect(await authorization()).toBe('Bearer first')
    clock.advance(10_001)
    expect(await authorization()).toBe('Bearer second')
  })
})

describe('credentialConfig', () => {
  const credential = (env: Record<string, string>) => readConfig(env, credentialConfig)

  it('is undefined when nothing is configured', () => {
    expect(credential({})).toEqual({ kind: 'none' })
    expect(authorizationFor({ kind: 'none' }, { clientId: 'a', audience: 'b' })).toBeUndefined()
  })

  it('rejects two credentials', () => {
    expect(() => credential({ CALLER_KEY_FILE: 'k', CALLER_TOKEN_FILE: 't' })).toThrow(
      'Set CALLER_TOKEN_FILE or CALLER_KEY_FILE, not both',
    )
  })

  it('signs a new assertion for each call, for one audience, with the key from the file', async () => {
    const key = await generateSigningKey('ES256')
    const path = join(folder, 'key.pem')
    await writeFile(path, exportPrivatePem(key), { mode: 0o600 })
    const config = credential({ CALLER_KEY_FILE: path })
    const authorization = authorizationFor(config, { clientId: 'servicea', audience: 'https://jwt-factory/' })
    const read = async () => parseCompact(((await authorization?.()) ?? '').replace('Bearer ', ''))
    const [first, second] = [await read(), await read()]
    expect(first.header).toEqual({ alg: 'ES256', typ: 'client-authentication+jwt', kid: key.kid })
    expect(first.payload).toMatchObject({ iss: 'servicea', sub: 'servicea', aud: 'https://jwt-factory/' })
    expect(first.payload.jti).not.toBe(second.payload.jti)
  })

  it('signs with a replaced key within 10 s, and with the last valid one if the file is lost', async () => {
    const clock = new ManualClock()
    const [first, second] = [await generateSigningKey('ES256'), await generateSigningKey('ES256')]
    const path = join(folder, 'rotated.pem')
    await writeFile(path, exportPrivatePem(first), { mode: 0o600 })
    const options = { clientId: 'servicea', audience: 'https://jwt-factory/', clock: clock.now }
    const authorization = authorizationFor(credential({ CALLER_KEY_FILE: path }), options)
    const kid = async () => parseCompact(((await authorization?.()) ?? '').replace('Bearer ', '')).header.kid
    expect(await kid()).toBe(first.kid)
    await writeFile(path, exportPrivatePem(second))
    clock.advance(10_001)
    expect(await kid()).toBe(second.kid)
    await rm(path)
    clock.advance(10_001)
    expect(await kid()).toBe(second.kid)
  })

  it('rejects a key that cannot be used or that others can read, and names file and fix', async () => {
    const pem = exportPrivatePem(await generateSigningKey('ES256'))
    const problemWith = async (name: string, content: string, mode = 0o600, env = {}) => {
      const path = join(folder, name)
      await writeFile(path, content)
      await chmod(path, mode)
      try {
        credential({ CALLER_KEY_FILE: path, ...env })
      } catch (error) {
        return (error as Error).message.replaceAll(path, 'FILE')
      }
      return undefined
    }
    expect(await problemWith('good', pem)).toBeUndefined()
    expect(await problemWith('read-only', pem, 0o400)).toBeUndefined()
    for (const mode of [0o640, 0o604, 0o644, 0o666])
      expect(await problemWith(`mode-${mode.toString(8)}`, pem, mode)).toContain(
        `CALLER_KEY_FILE FILE: other users have access to it (mode 0${mode.toString(8)}). Run: chmod 600 FILE `,
      )
    expect(await problemWith('empty', '\n')).toContain('CALLER_KEY_FILE FILE: is empty')
    expect(await problemWith('text', 'secret')).toContain('FILE: The key is not readable as PEM.')
    expect(await problemWith('text', 'secret')).not.toContain('secret')
    expect(await problemWith('rs256', pem, 0o600, { CALLER_KEY_ALGORITHM: 'RS256' })).toContain(
      'FILE: RS256 needs an RSA key. Set CALLER_KEY_ALGORITHM to the algorithm of the key.',
    )
    expect(() => credential({ CALLER_KEY_FILE: join(folder, 'none') })).toThrow('none: does not exist.')
    expect(() => credential({ CALLER_KEY_FILE: folder })).toThrow('is a folder, not a file.')
  })
})
