import { describe, expect, it } from '@jest/globals'
import {
  anySubject,
  generateSigningKey,
  publicJwks,
  remoteKeys,
  type SigningKey,
  type VerificationRules,
  verifyToken,
} from '../index.ts'
import { forgeToken } from '../testing.ts'

const ISSUER = 'https://issuer'
const NOW = 1_800_000_000

/** An issuer that gives each of its keys the same kid, and a verifier that caches them. */
function issuerWith(first: SigningKey) {
  const state = { now: NOW * 1000, loads: 0, key: first, isDown: false }
  const rules: VerificationRules = {
    issuer: ISSUER,
    audience: 'api',
    subject: anySubject,
    maxLifetimeSeconds: 3_600,
    clock: () => state.now,
    keys: remoteKeys({
      issuer: ISSUER,
      clock: () => state.now,
      async load() {
        state.loads += 1
        if (state.isDown) throw new Error('the issuer is down')
        return publicJwks([state.key])
      },
    }),
  }
  const verify = (token: string) =>
    verifyToken(token, rules).then(
      () => 'accepted',
      ({ reason, message }: { reason?: string; message: string }) => [reason, message],
    )
  return Object.assign(state, { verify })
}

const claims = { iss: ISSUER, aud: 'api', sub: 'ada', iat: NOW, exp: NOW + 600 }
/** Makes a token of a key, with a kid or without. */
const tokenOf = (key: SigningKey, header: object = { kid: key.kid }) =>
  forgeToken({ header: { alg: 'ES256', typ: 'JWT', ...header }, claims, key, alg: 'ES256' })
const newKey = (kid = 'default') => generateSigningKey('ES256', kid)
const INVALID = ['signature_invalid', 'invalid signature']

describe('a key that an issuer has replaced under the same kid', () => {
  it('is found at the first token that it did not sign, and no longer accepted', async () => {
    const [old, young] = [await newKey(), await newKey()]
    const issuer = issuerWith(old)
    expect(await issuer.verify(tokenOf(old))).toBe('accepted')
    issuer.key = young
    expect(await issuer.verify(tokenOf(young))).toBe('accepted')
    expect(issuer.loads).toBe(2)
    issuer.now += 31_000
    expect(await issuer.verify(tokenOf(old))).toEqual(INVALID)
  })

  it('is found for tokens without a kid', async () => {
    const [old, young] = [await newKey('a'), await newKey('b')]
    const issuer = issuerWith(old)
    expect(await issuer.verify(tokenOf(old, {}))).toBe('accepted')
    issuer.key = young
    expect(await issuer.verify(tokenOf(young, {}))).toBe('accepted')
  })

  it('costs the issuer five loads per cooldown, however many signatures are forged', async () => {
    const key = await newKey()
    const issuer = issuerWith(key)
    await issuer.verify(tokenOf(key))
    const forged = tokenOf(await newKey())
    for (let n = 0; n < 100; n += 1) expect(await issuer.verify(forged)).toEqual(INVALID)
    expect(issuer.loads).toBe(6)
    await Promise.all(Array.from({ length: 100 }, () => issuer.verify(forged)))
    expect(issuer.loads).toBe(6)
    issuer.now += 30_000
    await issuer.verify(forged)
    expect(issuer.loads).toBe(7)
    expect(await issuer.verify(tokenOf(key))).toBe('accepted')
  })

  it('stays in use while the issuer does not answer', async () => {
    const key = await newKey()
    const issuer = issuerWith(key)
    await issuer.verify(tokenOf(key))
    issuer.isDown = true
    expect(await issuer.verify(tokenOf(await newKey()))).toEqual(INVALID)
    expect(await issuer.verify(tokenOf(key))).toBe('accepted')
  })
})
