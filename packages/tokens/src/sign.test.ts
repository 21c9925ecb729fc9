import { sign as signBytes } from 'node:crypto'
import { JsonNumber } from '@hallpass/untrusted/json'
import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  ALGORITHMS,
  type Algorithm,
  generateSigningKey,
  libraries,
  parseCompact,
  SCHEMES,
  type Signer,
  type SigningKey,
  signToken,
  staticKeys,
  verifyToken,
} from './index.ts'
import { testKey } from './testing.ts'

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

  it.each<[unknown, string]>([
    [{ limit: Number.NaN }, 'limit is NaN, which JSON cannot represent'],
    [{ limit: Number.POSITIVE_INFINITY }, 'limit is Infinity, which JSON cannot represent'],
    [
      { user: { ids: [1, Number.NEGATIVE_INFINITY] } },
      'user.ids[1] is -Infinity, which JSON cannot represent',
    ],
    [{ acct: 9007199254740993n }, 'acct is a bigint; send it as a string'],
    [{ scope: undefined }, 'scope is undefined, which JSON would drop'],
    [{ list: new Array(1) }, 'list[0] is undefined, which JSON would drop'],
    [{ f: () => 1 }, 'f is a function, which JSON would drop'],
    [{ s: Symbol('x') }, 's is a symbol, which JSON would drop'],
    [{ at: new Date(0) }, 'at is an instance of a class; use a plain object, list, string or number'],
    [{ m: new Map([['a', 1]]) }, 'm is an instance of a class; use a plain object, list, string or number'],
    [
      { n: new JsonNumber('1e400') },
      'n is an instance of a class; use a plain object, list, string or number',
    ],
    [cyclic(), `${'self.'.repeat(31)}self is nested deeper than 32 levels`],
  ])('is not made of %p', async (claims, why) => {
    await expect(
      signToken(claims as Record<string, unknown>, key, { lifetimeSeconds: 60 }),
    ).rejects.toMatchObject({
      name: 'SigningError',
      reason: 'claim_not_json',
      message: `The claim ${why}.`,
    })
  })

  it('keeps every number that JSON can represent', async () => {
    const claims = {
      a: 0.1,
      b: 1e308,
      c: 5e-324,
      d: -0,
      e: Number.MAX_SAFE_INTEGER,
      f: 1e21,
      g: [null, true],
    }
    const { payload } = parseCompact(await signToken(claims, key, { lifetimeSeconds: 60 }))
    expect(payload).toMatchObject({ ...claims, d: 0 })
  })
})

function cyclic(): object {
  const claims: Record<string, unknown> = {}
  claims.self = claims
  return claims
}
/** A key pair whose private half is elsewhere. */
async function remoteSigner(alg: Algorithm): Promise<{ readonly signer: Signer; readonly pair: SigningKey }> {
  const pair = await testKey(alg, 'a-key')
  const { digest, options } = SCHEMES[alg]
  const signer: Signer = {
    kid: pair.kid,
    alg,
    publicKey: pair.publicKey,
    async sign(bytes) {
      await new Promise((resolve) => setImmediate(resolve))
      return signBytes(digest, bytes, { key: pair.privateKey, ...options })
    },
  }
  return { signer, pair }
}

describe('a token signed outside this process', () => {
  const claims = { iss: 'https://issuer/', sub: 'a', aud: 'b', name: 'Zoë', nested: { list: [1, null] } }

  it.each(ALGORITHMS)('verifies with every library (%s)', async (alg) => {
    const { signer } = await remoteSigner(alg)
    const token = await signToken(claims, signer, { lifetimeSeconds: 60 })
    for (const library of Object.values(libraries).filter(({ algorithms }) => algorithms.includes(alg)))
      await expect(
        verifyToken(token, {
          issuer: claims.iss,
          audience: claims.aud,
          subject: claims.sub,
          keys: staticKeys(claims.iss, [signer]),
          maxLifetimeSeconds: 60,
          library,
        }),
      ).resolves.toMatchObject({ claims: { name: 'Zoë', nested: { list: [1, null] } } })
  })

  it.each(ALGORITHMS)('has the header and claims that every library writes (%s)', async (alg) => {
    const { signer, pair } = await remoteSigner(alg)
    const options = { lifetimeSeconds: 60, typ: 'at+jwt', clock }
    const withoutJti = (token: string) => {
      const { header, payload } = parseCompact(token)
      return JSON.stringify([header, { ...payload, jti: '' }])
    }
    const remote = await signToken(claims, signer, options)
    for (const library of Object.values(libraries).filter(({ algorithms }) => algorithms.includes(alg)))
      expect(withoutJti(remote)).toBe(withoutJti(await signToken(claims, pair, { ...options, library })))
  })

  it('is not made if the signer fails, and the error is the one of the signer', async () => {
    const { signer } = await remoteSigner('ES256')
    const error = new Error('The HSM is unplugged.')
    const failing = { ...signer, sign: () => Promise.reject(error) }
    await expect(signToken(claims, failing, { lifetimeSeconds: 60 })).rejects.toBe(error)
  })

  it('is not made if it is too large for any verifier, or its times are invalid', async () => {
    const { signer } = await remoteSigner('ES256')
    await expect(signToken({ x: 'x'.repeat(8000) }, signer, { lifetimeSeconds: 60 })).rejects.toMatchObject({
      reason: 'token_too_large',
    })
    await expect(signToken({ nbf: 'x' }, signer, { lifetimeSeconds: 60 })).rejects.toMatchObject({
      reason: 'invalid_not_before',
    })
  })
})
