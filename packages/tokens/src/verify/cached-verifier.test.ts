import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  cachedVerifier,
  generateSigningKey,
  type KeyFinder,
  libraries,
  type SigningKey,
  signToken,
  type VerificationKey,
} from '../index.ts'

const claims = { iss: 'https://issuer', aud: 'serviceb', sub: 'servicea' }

let key: SigningKey
let other: SigningKey
beforeAll(async () => {
  key = await generateSigningKey('ES256', 'the-key')
  other = await generateSigningKey('ES256', 'the-key')
})

function setUp(maxEntries = 100) {
  const state = { now: 1_800_000_000_000, key: key as VerificationKey | undefined, signatures: 0 }
  const library = {
    ...libraries['node-crypto'],
    verify(...given: Parameters<(typeof libraries)['node-crypto']['verify']>) {
      state.signatures += 1
      return libraries['node-crypto'].verify(...given)
    },
  }
  const keys: KeyFinder = () => state.key
  const rules = {
    issuer: claims.iss,
    audience: claims.aud,
    subject: claims.sub,
    keys,
    maxLifetimeSeconds: 3600,
    clock: () => state.now,
    library,
  }
  const verify = cachedVerifier(rules, { maxEntries })
  const sign = (lifetimeSeconds = 60) => signToken(claims, key, { lifetimeSeconds, clock: () => state.now })
  return Object.assign(state, { verify, sign })
}

describe('a verifier with a cache', () => {
  it('verifies a signature once, and returns the same each time', async () => {
    const state = setUp()
    const token = await state.sign()
    const first = await state.verify(token)
    expect(await state.verify(token)).toEqual(first)
    expect(first.claims).toMatchObject(claims)
    expect(first.checks.map(({ name }) => name)).toContain('signature')
    expect(state.signatures).toBe(1)
  })

  it('rejects a token as soon as it has expired', async () => {
    const state = setUp()
    const token = await state.sign(60)
    await state.verify(token)
    state.now += 60_000
    await expect(state.verify(token)).rejects.toMatchObject({ reason: 'expired', message: 'jwt expired' })
  })

  it('rejects a token as soon as its key is removed, or another key has its kid', async () => {
    const state = setUp()
    const token = await state.sign()
    await state.verify(token)
    state.key = undefined
    await expect(state.verify(token)).rejects.toMatchObject({ reason: 'key_unknown' })
    state.key = other
    await expect(state.verify(token)).rejects.toMatchObject({ reason: 'signature_invalid' })
    state.key = key
    await expect(state.verify(token)).resolves.toMatchObject({ claims })
  })

  it('does not accept a known header and payload with another signature', async () => {
    const state = setUp()
    const token = await state.sign()
    await state.verify(token)
    const [header, payload] = token.split('.')
    const forged = `${header}.${payload}.${(await state.sign()).split('.')[2]}`
    await expect(state.verify(forged)).rejects.toMatchObject({ reason: 'signature_invalid' })
  })

  it('does not remember rejected tokens', async () => {
    const state = setUp()
    state.key = other
    const token = await state.sign()
    await expect(state.verify(token)).rejects.toMatchObject({ reason: 'signature_invalid' })
    state.key = key
    await expect(state.verify(token)).resolves.toMatchObject({ claims })
  })

  it('forgets the least recently used token', async () => {
    const state = setUp(2)
    const [a, b, c] = [await state.sign(), await state.sign(), await state.sign()]
    for (const token of [a, b, a, c]) await state.verify(token)
    expect(state.signatures).toBe(3)
    await state.verify(a)
    expect(state.signatures).toBe(3)
    await state.verify(b)
    expect(state.signatures).toBe(4)
  })

  it('rejects what is not a token at all', async () => {
    const state = setUp()
    await expect(state.verify(5 as never)).rejects.toMatchObject({ message: 'jwt must be a string' })
    await expect(state.verify('a'.repeat(10_000))).rejects.toMatchObject({ reason: 'token_too_large' })
    await expect(state.verify('a.b.c')).rejects.toMatchObject({ message: 'invalid token' })
  })

  it('requires complete rules', () => {
    const keys: KeyFinder = () => undefined
    expect(() =>
      cachedVerifier({ issuer: '', audience: 'a', subject: 's', keys, maxLifetimeSeconds: 1 }),
    ).toThrow('The rules need an issuer.')
  })
})
