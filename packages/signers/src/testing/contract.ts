import { execFile } from 'node:child_process'
import { verify } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Algorithm, parseCompact, publicJwk, SCHEMES, signToken } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { importJWK, jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import { openSigners, type SignersConfig } from '../index.ts'
import type { Signers } from '../signers.ts'

const SCRIPT = join(import.meta.dirname, 'run-signer.ts')

/** A system that keeps keys, for the tests of one file. */
export interface SignersPlace {
  readonly config: SignersConfig
  /** For a child process. */
  readonly environment: Readonly<Record<string, string>>
  readonly algorithms: readonly Algorithm[]
  /** A reference as the system writes it, of a key that it does not have. */
  readonly unknownReference: string
  end(): Promise<void>
}

/** What every kind of signer does. */
export function signersContract(start: () => Promise<SignersPlace>, algorithms: readonly Algorithm[]) {
  let place: SignersPlace
  let signers: Signers
  beforeAll(async () => {
    place = await start()
    signers = await openSigners(place.config)
  }, 60_000)
  afterAll(async () => {
    await signers.close()
    await place.end()
  })

  describe.each(algorithms)('%s', (alg) => {
    it('signs tokens that jose, jsonwebtoken and Node verify, here and in another process', async () => {
      const { key, reference } = await signers.create(alg, 'servicea')
      expect(key.kid).toMatch(/^servicea-[\w-]{22}$/)
      const again = await signers.open(reference, alg, key.kid)
      expect(again.publicKey.equals(key.publicKey)).toBe(true)
      const tokens = [
        await signToken({ sub: 'a' }, key, { lifetimeSeconds: 60 }),
        await signToken({ sub: 'a' }, again, { lifetimeSeconds: 60 }),
        await signElsewhere(place, { reference, alg, kid: key.kid }),
      ]
      for (const token of tokens) {
        const jwk = publicJwk(key)
        const { protectedHeader } = await jwtVerify(token, await importJWK({ ...jwk }, alg), { subject: 'a' })
        expect(protectedHeader).toEqual({ alg, typ: 'JWT', kid: key.kid })
        const pem = key.publicKey.export({ type: 'spki', format: 'pem' })
        // jsonwebtoken knows no EdDSA.
        if (alg !== 'EdDSA')
          expect(jsonwebtoken.verify(token, pem, { algorithms: [alg] })).toMatchObject({ sub: 'a' })
        const { signingInput, signature } = parseCompact(token)
        const { digest, options } = SCHEMES[alg]
        expect(verify(digest, Buffer.from(signingInput), { key: key.publicKey, ...options }, signature)).toBe(
          true,
        )
      }
      await signers.destroy(reference)
    }, 60_000)

    it('signs many tokens concurrently', async () => {
      const { key, reference } = await signers.create(alg, 'many')
      const { digest, options } = SCHEMES[alg]
      await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          const token = await signToken({ index }, key, { lifetimeSeconds: 60 })
          const { payload, signingInput, signature } = parseCompact(token)
          expect(payload.index).toBe(index)
          expect(
            verify(digest, Buffer.from(signingInput), { key: key.publicKey, ...options }, signature),
          ).toBe(true)
        }),
      )
      await signers.destroy(reference)
    }, 60_000)

    it('opens no key for another algorithm', async () => {
      const { key, reference } = await signers.create(alg, 'confused')
      const other = alg === 'ES256' ? 'RS256' : 'ES256'
      await expect(signers.open(reference, other, key.kid)).rejects.toMatchObject({ name: 'KeyError' })
      await signers.destroy(reference)
    }, 60_000)
  })

  it.each([
    '',
    'x',
    'wrapped:',
    'wrapped:AAAA',
    'pkcs11:token=a;object=b;id=%zz;type=private',
    'arn:aws:kms:::key/',
  ])('does not open the reference %p', async (reference) => {
    await expect(signers.open(reference, 'ES256', 'a-kid')).rejects.toMatchObject({
      name: 'KeyError',
      reason: 'invalid_key',
    })
  })

  it('does not open the reference of a key that it does not have', async () => {
    await expect(signers.open(place.unknownReference, 'ES256', 'a-kid')).rejects.toMatchObject({
      name: 'KeyError',
      reason: 'invalid_key',
    })
  })

  it('can check that it is available', async () => {
    await expect(signers.check('ES256')).resolves.toBeUndefined()
  })

  it('has no private key in the reference', async () => {
    const { reference } = await signers.create('ES256', 'secret')
    expect(reference).not.toContain('PRIVATE KEY')
    expect(Buffer.from(reference.replace(/^\w+:/, ''), 'base64url').toString('latin1')).not.toContain(
      'PRIVATE',
    )
    await signers.destroy(reference)
  })
}

/** What a system with a life of its own does besides. */
export function destroyContract(signers: () => Signers) {
  it('destroys a key, once or twice, and does not open it again', async () => {
    const { key, reference } = await signers().create('ES256', 'destroyed')
    await signers().destroy(reference)
    await signers().destroy(reference)
    await expect(signers().open(reference, 'ES256', key.kid)).rejects.toMatchObject({
      name: 'KeyError',
      reason: 'invalid_key',
      message: expect.stringContaining(key.kid),
    })
  })
}

async function signElsewhere(
  { config, environment }: SignersPlace,
  request: { readonly reference: string; readonly alg: string; readonly kid: string },
): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--no-warnings', '--import', import.meta.resolve('tsx'), SCRIPT, JSON.stringify({ config, ...request })],
    { env: { ...process.env, ...environment } },
  )
  return stdout.trim()
}
