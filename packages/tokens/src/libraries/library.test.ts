import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  libraries,
  libraryNamed,
  parseCompact,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SigningKey,
  signToken,
  staticKeys,
  type TokenLibrary,
  verifySignature,
  verifyToken,
} from '../index.ts'

import { settlesWithoutTheEventLoop } from '../testing/event-loop.ts'
import { testKey } from '../testing.ts'

const ISSUER = 'https://issuer'
const claims = { iss: ISSUER, aud: 'serviceb', sub: 'servicea', note: 'größer als 😀' }

const keys = new Map<SignatureAlgorithm, SigningKey<SignatureAlgorithm>>()
const others = new Map<SignatureAlgorithm, SigningKey<SignatureAlgorithm>>()
beforeAll(async () => {
  for (const alg of SIGNATURE_ALGORITHMS) {
    keys.set(alg, testKey(alg, `key of ${alg}`))
    others.set(alg, { ...testKey(alg, 'stranger'), kid: `key of ${alg}` })
  }
})

const keyOf = (alg: SignatureAlgorithm) => keys.get(alg) as SigningKey<SignatureAlgorithm>
const all = Object.values(libraries)
const rules = (alg: SignatureAlgorithm, library: TokenLibrary) => ({
  issuer: ISSUER,
  audience: 'serviceb',
  subject: 'servicea',
  algorithms: SIGNATURE_ALGORITHMS,
  keys: staticKeys(ISSUER, [keyOf(alg)]),
  maxLifetimeSeconds: 60,
  library,
})

describe.each(all.map((library) => [library.name, library] as const))(
  'the contract of a library, fulfilled by %s',
  (_, library) => {
    describe.each(library.algorithms)('%s', (alg) => {
      it('writes a header of alg, typ and kid, and the claims unchanged', async () => {
        const clock = () => 1_000_000_900
        const token = await signToken(claims, keyOf(alg), {
          lifetimeSeconds: 60,
          typ: 'at+jwt',
          clock,
          library,
        })
        const { header, payload } = parseCompact(token)
        expect(header).toEqual({ alg, typ: 'at+jwt', kid: `key of ${alg}` })
        expect(payload).toEqual({ ...claims, exp: 1_000_060, iat: 1_000_000, jti: expect.any(String) })
      })

      it('verifies its own signature', async () => {
        const token = await signToken(claims, keyOf(alg), { lifetimeSeconds: 60, library })
        await expect(verifyToken(token, rules(alg, library))).resolves.toMatchObject({ claims })
      })

      it.each(all.filter((peer) => peer.algorithms.includes(alg)).map((peer) => [peer.name, peer] as const))(
        'verifies what %s signs',
        async (_name, peer) => {
          const token = await signToken(claims, keyOf(alg), { lifetimeSeconds: 60, library: peer })
          await expect(verifySignature(parseCompact(token), keyOf(alg), library)).resolves.toBe(true)
        },
      )

      it('rejects the signature of another key, and a changed or truncated one', async () => {
        const token = await signToken(claims, others.get(alg) as SigningKey<SignatureAlgorithm>, {
          lifetimeSeconds: 60,
          library,
        })
        const good = await signToken(claims, keyOf(alg), { lifetimeSeconds: 60, library })
        const [header, payload, signature] = good.split('.') as [string, string, string]
        const changed = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
        const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'admin' })).toString('base64url')
        for (const bad of [
          token,
          `${header}.${payload}.${changed}`,
          `${header}.${payload}.${signature.slice(0, -8)}`,
          `${header}.${forged}.${signature}`,
        ])
          await expect(verifyToken(bad, rules(alg, library))).rejects.toMatchObject({
            name: 'JsonWebTokenError',
            message: 'invalid signature',
            reason: expect.stringMatching(/^signature_(invalid|malformed)$/),
          })
      })

      it('leaves the claims to the verifier: an expired token has a valid signature', async () => {
        const token = await signToken({ ...claims, nbf: 9e9 }, keyOf(alg), { lifetimeSeconds: -60, library })
        await expect(verifySignature(parseCompact(token), keyOf(alg), library)).resolves.toBe(true)
      })

      if (/^[RP]S/.test(alg))
        it('does not sign on the calling thread', async () => {
          await library.sign(claims, keyOf(alg), 'JWT')
          const signature = library.sign(claims, keyOf(alg), 'JWT')
          expect(await settlesWithoutTheEventLoop(signature)).toBe(false)
          await signature
        })
    })
  },
)

describe('the choice of a library', () => {
  it('is made by name', () => {
    expect(libraryNamed('jose', ['RS256', 'EdDSA'])).toBe(libraries.jose)
  })

  it('lists the libraries if the name is unknown', () => {
    expect(() => libraryNamed('jwt')).toThrow(
      'Unknown token library jwt; expected one of node-crypto, jsonwebtoken, jose, node-jose.',
    )
    expect(() => libraryNamed('constructor')).toThrow('Unknown token library constructor')
  })

  it.each(['jsonwebtoken', 'node-jose'])('reports immediately that %s has no EdDSA', async (name) => {
    const message = `${name} does not support EdDSA; node-crypto and jose do.`
    expect(() => libraryNamed(name, ['RS256', 'EdDSA'])).toThrow(message)
    const library = libraryNamed(name)
    await expect(signToken(claims, keyOf('EdDSA'), { lifetimeSeconds: 60, library })).rejects.toThrow(message)
    const token = await signToken(claims, keyOf('EdDSA'), { lifetimeSeconds: 60 })
    await expect(verifyToken(token, rules('EdDSA', library))).rejects.toThrow(message)
  })
})
