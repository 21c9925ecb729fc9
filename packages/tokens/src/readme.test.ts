import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import {
  accessTokenUse,
  algorithm,
  type Claims,
  type CommonRules,
  cachedVerifier,
  check,
  critical,
  describeToken,
  expiry,
  exportPrivatePem,
  form,
  generateSigningKey,
  importSigningKey,
  libraryNamed,
  publicJwks,
  type RuleSet,
  remoteKeys,
  remoteStatusLists,
  SignatureMemory,
  StatusList,
  signature,
  signStatusList,
  signToken,
  staticKeys,
  TOKEN_CHECKS,
  TOKEN_ERROR_REASONS,
  TokenError,
  type TokenVerification,
  Verification,
  verifyBy,
  verifyToken,
} from './index.ts'
import { wrongTokens } from './testing.ts'

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const source = readFileSync(import.meta.filename, 'utf8')

/** The examples below, verbatim. */
const examples = [...source.matchAll(/^( *)\/\/ example: (.+)\n([\s\S]+?)\n *\/\/ end$/gm)].map(
  ([, indent = '', name = '', code = '']) => ({
    name,
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }),
)

describe('the README', () => {
  it.each(examples.map(({ name, code }) => [name, code]))(
    'shows how to %s, verbatim as tested here',
    (_, code) => {
      expect(readme).toContain(code)
    },
  )

  it('shows only code that is tested here', () => {
    const shown = [...readme.matchAll(/```ts\n([\s\S]+?)\n```/g)].map(([, code]) => code)
    expect(shown.toSorted()).toEqual(examples.map(({ code }) => code).toSorted())
  })

  it('lists every check of verifyToken, with its rule, in its order', () => {
    const rows = [...readme.matchAll(/^\| `([a-z ]+)` \| ((?:RFC|Token) [^|:;,]+) \| .+ \|$/gm)]
    expect(rows.map(([, name, rule]) => ({ name, rule }))).toEqual(
      TOKEN_CHECKS.map(({ name, rule }) => ({ name, rule })),
    )
  })

  it.each(TOKEN_ERROR_REASONS)('explains the reason %s', (reason) => {
    expect(readme).toMatch(new RegExp(`^\\| \`${reason}\` \\| .+ \\| .+ \\|$`, 'm'))
  })
})

describe('the examples', () => {
  it('sign a token and verify it', async () => {
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

    // example: see why a token is rejected
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

    const list = StatusList.ofSize(16)
    const uri = 'https://servicea.example/status-lists/1'
    const listOptions = { issuer: 'servicea', uri, ttlSeconds: 10, lifetimeSeconds: 60 }
    const fetchList = () => signStatusList(list, key, listOptions)
    const tokenWithStatus = await signToken(
      { iss: 'servicea', aud: 'serviceb', sub: 'servicea', status: { status_list: { idx: 7, uri } } },
      key,
      { lifetimeSeconds: 60 },
    )
    // example: reject revoked tokens offline
    const statusList = remoteStatusLists({
      issuer: 'servicea',
      keys,
      prefix: 'https://servicea.example/status-lists/', // no other URI in a token is loaded
      load: () => fetchList(), // as text, with its own timeout
      whenUnavailable: 'reject',
      maxAgeSeconds: 60,
    })
    const notRevoked = await verifyToken(tokenWithStatus, { ...rules, statusList })
    // end
    expect(notRevoked.checks.at(-1)).toMatchObject({ name: 'token status', passed: true })

    // example: store a key and publish it
    const pem = exportPrivatePem(key) // PKCS#8; write it with mode 0600
    const again = importSigningKey(pem, { alg: 'RS256', kid: key.kid })
    const jwks = JSON.stringify(publicJwks([again])) // only public members, ready for /.well-known/jwks.json
    // end
    expect(again.privateKey.equals(key.privateKey)).toBe(true)
    const fetchJson = async () => JSON.parse(jwks) as unknown

    // example: verify with keys that another service publishes
    const published = remoteKeys({ issuer: 'servicea', load: () => fetchJson() })
    const verified = await verifyToken(token, { ...rules, keys: published })
    // end
    expect(verified.claims).toEqual(claims)

    const fetchKey = async (kid: string) => (kid === key.kid ? fetchJson() : undefined)
    const fetchNone = async () => ({ keys: [] })
    // example: load keys that are not in the set
    const many = remoteKeys({ issuer: 'servicea', load: () => fetchNone(), loadKey: (kid) => fetchKey(kid) })
    // end
    expect((await verifyToken(token, { ...rules, keys: many })).claims).toEqual(claims)

    // example: choose the library
    const library = libraryNamed('jose', ['RS256', 'EdDSA']) // throws if it does not support both
    const byJose = await signToken({ iss: 'servicea' }, key, { lifetimeSeconds: 60, library })
    // end
    expect(byJose.split('.')).toHaveLength(3)

    // example: verify a token repeatedly
    const verify = cachedVerifier({ ...rules, keys: published }, { maxEntries: 1000 })
    const first = await verify(token) // every check
    const second = await verify(token) // every check except form and signature
    // end
    expect(second).toEqual(first)

    // example: describe a token
    const { header, problem, signature: shown } = describeToken(token) // never throws; shows only six characters of the signature
    // end
    expect({ header, problem }).toEqual({
      header: { alg: 'RS256', typ: 'JWT', kid: key.kid },
      problem: undefined,
    })
    expect(shown).toHaveLength(7)

    // example: tell access tokens and ID tokens apart
    const accessOnly = { ...rules, tokenUse: accessTokenUse('scoped') } // or 'at+jwt', 'typ=Bearer'
    const idToken = await signToken({ iss: 'servicea', aud: 'serviceb', sub: 'servicea' }, key, {
      lifetimeSeconds: 60,
    })
    await expect(verifyToken(idToken, accessOnly)).rejects.toMatchObject({ reason: 'use_not_allowed' })
    // end

    // example: add a check
    const hasGroup = check('group', 'RFC 9068 §2.2.3.1', (verification: TokenVerification) => {
      if (verification.claims.groups === undefined)
        throw verification.fail('claims_malformed', 'jwt groups required')
    })
    const refused = await verifyToken(token, rules, [hasGroup]).catch((error) => error) // of the check 'group'
    // end
    expect(refused.checks.at(-1)).toEqual({ name: 'group', passed: false, rule: 'RFC 9068 §2.2.3.1' })

    class Assertion extends Verification<CommonRules, Claims> {
      override fail = (reason: string) => new Error(reason)
      override result = () => this.claims
    }
    const ownKey = check('own key', 'RFC 7523 §3', (verification: Assertion) => {
      verification.keys = [key]
    })
    // example: make a rule set
    const ruleSet: RuleSet<Claims, Assertion> = {
      checks: [form, algorithm, critical, ownKey, signature, expiry], // in this order
      begin: (token, remembered) => new Assertion(token, { leewaySeconds: 5 }, remembered),
    }
    const about = await verifyBy(ruleSet, token) // if every check is synchronous: atOnce(verifyBy(…))
    const memory = new SignatureMemory(1000) // memory.verifyBy(…) verifies each signature once
    // end
    expect(about).toEqual(claims)
    expect(await memory.verifyBy(ruleSet, token)).toEqual(claims)

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
