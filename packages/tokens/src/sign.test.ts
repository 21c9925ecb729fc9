import { beforeAll, describe, expect, it } from '@jest/globals'
import { generateSigningKey, parseCompact, type SigningKey, signToken } from './index.ts'

let key: SigningKey
beforeAll(async () => {
  key = await generateSigningKey('EdDSA', 'a-key')
})

const clock = () => 1_800_000_000_999

describe('a signed token', () => {
  it('is valid from now, in whole seconds, for the given lifetime', async () => {
    const { payload } = parseCompact(await signToken({ sub: 'a' }, key, { lifetimeSeconds: 60, clock }))
    expect(payload).toEqual({ sub: 'a', exp: 1_800_000_060, iat: 1_800_000_000, jti: expect.any(String) })
  })

  it('with a negative lifetime has already expired', async () => {
    const { payload } = parseCompact(await signToken({}, key, { lifetimeSeconds: -3600, clock }))
    expect(payload).toMatchObject({ exp: 1_799_996_400, iat: 1_800_000_000 })
  })

  it('keeps its claims in order, as the documented responses show them', async () => {
    const { payload } = parseCompact(
      await signToken({ iss: 'i', sub: 's', aud: 'a' }, key, { lifetimeSeconds: 1 }),
    )
    expect(Object.keys(payload)).toEqual(['iss', 'sub', 'aud', 'exp', 'iat', 'jti'])
  })

  it('has a new jti each time, and takes neither jti nor times from the claims', async () => {
    const claims = { jti: 'chosen', exp: 9_999_999_999, iat: 0 }
    const tokens = await Promise.all([1, 2].map(() => signToken(claims, key, { lifetimeSeconds: 60, clock })))
    const [first, second] = tokens.map((token) => parseCompact(token).payload)
    expect(first).toMatchObject({ exp: 1_800_000_060, iat: 1_800_000_000 })
    expect(first?.jti).toMatch(/^[0-9a-f-]{36}$/)
    expect(first?.jti).not.toBe(second?.jti)
  })

  it('has the type that it is given', async () => {
    const token = await signToken({}, key, { lifetimeSeconds: 60, typ: 'at+jwt' })
    expect(parseCompact(token).header).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: 'a-key' })
    expect(parseCompact(await signToken({}, key, { lifetimeSeconds: 60 })).header.typ).toBe('JWT')
  })

  it('is not made if it is too large for any verifier', async () => {
    await expect(signToken({ x: 'x'.repeat(8000) }, key, { lifetimeSeconds: 60 })).rejects.toMatchObject({
      name: 'SigningError',
      reason: 'token_too_large',
      message: expect.stringMatching(
        /^The token would have \d+ characters; verifiers accept at most 8192\.$/,
      ),
    })
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, '60', undefined])(
    'is not made for %p seconds',
    async (seconds) => {
      await expect(signToken({}, key, { lifetimeSeconds: seconds as number })).rejects.toMatchObject({
        name: 'SigningError',
        reason: 'invalid_lifetime',
        message: 'lifetimeSeconds must be a finite number.',
      })
    },
  )

  it.each(['tomorrow', '1800000000', -1, 1e20, Number.NaN, null])('is not made with nbf %p', async (nbf) => {
    await expect(signToken({ nbf }, key, { lifetimeSeconds: 60 })).rejects.toMatchObject({
      name: 'SigningError',
      reason: 'invalid_not_before',
      message: 'nbf must be a number of seconds since 1970.',
    })
  })
})
