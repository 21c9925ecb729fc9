import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import {
  cachedVerifier,
  describeToken,
  exportPrivatePem,
  generateSigningKey,
  importSigningKey,
  libraryNamed,
  publicJwks,
  remoteKeys,
  signToken,
  staticKeys,
  TOKEN_ERROR_REASONS,
  TokenError,
  verifyToken,
} from './index.ts'
import { wrongTokens } from './testing.ts'

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const source = readFileSync(import.meta.filename, 'utf8')

/** The examples below, word for word as they stand here. */
const examples = [...source.matchAll(/^( *)\/\/ example: (.+)\n([\s\S]+?)\n *\/\/ end$/gm)].map(
  ([, indent = '', name = '', code = '']) => ({
    name,
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }),
)

describe('the README', () => {
  it.each(examples.map(({ name, code }) => [name, code]))('shows how to %s, as it runs here', (_, code) => {
    expect(readme).toContain(code)
  })

  it('shows no code that does not run here', () => {
    const shown = [...readme.matchAll(/```ts\n([\s\S]+?)\n```/g)].map(([, code]) => code)
    expect(shown.toSorted()).toEqual(examples.map(({ code }) => code).toSorted())
  })

  it.each(TOKEN_ERROR_REASONS)('explains the reason %s', (reason) => {
    expect(readme).toMatch(new RegExp(`^\\| \`${reason}\` \\| .+ \\| .+ \\|$`, 'm'))
  })
})

describe('the examples', () => {
  it('make a token and verify it', async () => {
    // example: sign and verify
    const key = await generateSigningKey('RS256')
    const token = await signToken({ iss: 'servicea', aud: 'serviceb', sub: 'servicea' }, key, {
      lifetimeSeconds: 60,
    })
    const keys = staticKeys('servicea', [key])
    const rules = {
      issuer: 'servicea',
      audience: 'serviceb',
      subject: 'servicea',
      keys,
      maxLifetimeSeconds: 60,
    }
    const { claims, checks } = await verifyToken(token, rules)
    // end
    expect(claims.sub).toBe('servicea')
    expect(checks).toHaveLength(14)

    // example: see why a token is refused
    const refusal = await verifyToken(token, { ...rules, audience: 'servicec' }).catch((error) => error)
    if (!(refusal instanceof TokenError)) throw refusal
    const { reason, message } = refusal // 'audience_mismatch', 'jwt audience invalid. expected: servicec'
    const broken = refusal.checks.at(-1) // { name: 'audience', passed: false, rule: 'RFC 7519 §4.1.3' }
    // end
    expect({ reason, message }).toEqual({
      reason: 'audience_mismatch',
      message: 'jwt audience invalid. expected: servicec',
    })
    expect(broken).toEqual({ name: 'audience', passed: false, rule: 'RFC 7519 §4.1.3' })

    // example: keep a key and publish it
    const pem = exportPrivatePem(key) // PKCS#8; write it with mode 0600
    const again = importSigningKey(pem, { alg: 'RS256', kid: key.kid })
    const jwks = JSON.stringify(publicJwks([again])) // public members alone, ready for /.well-known/jwks.json
    // end
    expect(again.privateKey.equals(key.privateKey)).toBe(true)
    const fetchJson = async () => JSON.parse(jwks) as unknown

    // example: verify with keys that another service publishes
    const published = remoteKeys({ issuer: 'servicea', load: () => fetchJson() })
    const verified = await verifyToken(token, { ...rules, keys: published })
    // end
    expect(verified.claims).toEqual(claims)

    // example: choose the library
    const library = libraryNamed('jose', ['RS256', 'EdDSA']) // throws when it lacks one of them
    const byJose = await signToken({ iss: 'servicea' }, key, { lifetimeSeconds: 60, library })
    // end
    expect(byJose.split('.')).toHaveLength(3)

    // example: verify a token that comes again
    const verify = cachedVerifier({ ...rules, keys: published }, { maxEntries: 1000 })
    const first = await verify(token) // the signature, and all the rest
    const second = await verify(token) // all the rest
    // end
    expect(second).toEqual(first)

    // example: look at a token
    const { header, signature, problem } = describeToken(token) // never throws, and shows six characters of the signature
    // end
    expect({ header, problem }).toEqual({
      header: { alg: 'RS256', typ: 'JWT', kid: key.kid },
      problem: undefined,
    })
    expect(signature).toHaveLength(7)

    // example: attack a verifier
    const now = Math.floor(Date.now() / 1000)
    const names = { iss: 'servicea', aud: 'serviceb', sub: 'servicea' }
    const wrong = wrongTokens({ key, claims: names, now, maxLifetimeSeconds: 60 })
    for (const { token, reason } of wrong)
      await expect(verifyToken(token, { ...rules, clock: () => now * 1000 })).rejects.toMatchObject({
        reason,
      })
    // end
    expect(wrong.length).toBeGreaterThan(300)
  })
})
