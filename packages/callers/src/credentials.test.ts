import { mkdtemp, rm, writeFile } from 'node:fs/promises'
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
    await writeFile(path, exportPrivatePem(key))
    const config = credential({ CALLER_KEY_FILE: path })
    const authorization = authorizationFor(config, { clientId: 'servicea', audience: 'https://jwt-factory/' })
    const read = async () => parseCompact(((await authorization?.()) ?? '').replace('Bearer ', ''))
    const [first, second] = [await read(), await read()]
    expect(first.header).toEqual({ alg: 'ES256', typ: 'client-authentication+jwt', kid: key.kid })
    expect(first.payload).toMatchObject({ iss: 'servicea', sub: 'servicea', aud: 'https://jwt-factory/' })
    expect(first.payload.jti).not.toBe(second.payload.jti)
  })
})
