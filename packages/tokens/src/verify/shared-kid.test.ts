import { describe, expect, it } from '@jest/globals'
import {
  anySubject,
  cachedVerifier,
  generateSigningKey,
  type KeyFinder,
  publicJwks,
  remoteKeys,
  type SigningKey,
  signToken,
  staticKeys,
  type VerificationRules,
  verifyToken,
} from '../index.ts'

const ISSUERS = ['https://one', 'https://two'] as const
const [ONE, TWO] = ISSUERS

const published = (issuer: string, key: SigningKey) =>
  remoteKeys({ issuer, load: async () => publicJwks([key]) })

describe('two issuers whose keys have one kid', () => {
  const sources: [string, (issuer: string, key: SigningKey) => KeyFinder][] = [
    ['fixed', (issuer, key) => staticKeys(issuer, [key])],
    ['published', published],
  ]
  it.each(sources)('AL-28 are told apart if their keys are %s (CVE-2026-49998)', async (_, finderOf) => {
    const keys = new Map<string, SigningKey>()
    const finders: KeyFinder[] = []
    for (const issuer of ISSUERS) {
      const key = await generateSigningKey('ES256', 'shared')
      keys.set(issuer, key)
      finders.push(finderOf(issuer, key))
    }
    const rules: VerificationRules = {
      issuer: ISSUERS,
      audience: 'a',
      subject: anySubject,
      maxLifetimeSeconds: 60,
      keys: async (issuer, kid, alg) => {
        for (const find of finders) {
          const found = await find(issuer, kid, alg)
          if (found) return found
        }
        return undefined
      },
    }
    const cached = cachedVerifier(rules)
    const token = (iss: string, signer: string) =>
      signToken({ iss, aud: 'a', sub: 's' }, keys.get(signer) as SigningKey, { lifetimeSeconds: 60 })
    for (const verify of [cached, cached, (text: string) => verifyToken(text, rules)]) {
      for (const iss of ISSUERS) expect((await verify(await token(iss, iss))).claims.iss).toBe(iss)
      for (const [iss, signer] of [
        [ONE, TWO],
        [TWO, ONE],
      ] as const)
        await expect(verify(await token(iss, signer))).rejects.toMatchObject({
          reason: 'signature_invalid',
          message: 'invalid signature',
        })
    }
  })
})
