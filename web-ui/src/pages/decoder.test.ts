import {
  exportPublicPem,
  generateSigningKey,
  publicJwk,
  publicJwks,
  signToken,
  TOKEN_CHECKS,
} from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { indentJson } from '../../public/decoder/json-text.js'
import { duration, judgeToken } from '../../public/decoder/judge-token.js'
import { cleanToken, readToken } from '../../public/decoder/read-token.js'
import { exampleToken, verifySignature } from '../../public/decoder/verify-signature.js'

const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')
const made = (claims: unknown, header: unknown = { alg: 'ES256', typ: 'JWT' }) =>
  readToken(`${encode(header)}.${encode(claims)}.AAAA`)

describe('cleanToken', () => {
  it.each(['a.b.c', 'Bearer a.b.c', 'Authorization: Bearer a.b.c', ' "a.b.c",', "'a.b.c'", 'a.\n  b.\r\nc'])(
    'finds the token in %j',
    (text) => expect(cleanToken(text)).toBe('a.b.c'),
  )
})

describe('readToken', () => {
  it('reads header, claims and what was signed', () => {
    const token = made({ sub: 'Zoë' })
    expect([token.header, token.claims]).toEqual([{ alg: 'ES256', typ: 'JWT' }, { sub: 'Zoë' }])
    expect(new TextDecoder().decode(token.signedBytes)).toBe(token.parts.slice(0, 2).join('.'))
  })

  it.each([
    ['', /has three parts; this has 1/],
    ['a.b.c.d.e', /encrypted \(JWE\)/],
    [`${encode({})}.${encode([])}.`, /claims is not a JSON object/],
    [`${encode({})}.bm8.`, /claims is not JSON/],
    [`${encode({})}.${Buffer.from([0x22, 0xff, 0x22]).toString('base64url')}.`, /claims is not JSON/],
    [`${encode({})}.${encode({})}.a+b=`, /characters that are not base64url/],
    [`${encode({})}.${encode({})}.AAAAA`, /signature is truncated/],
    [`${encode({})}.${encode({})}.AB`, /nonzero padding bits/],
    ['a'.repeat(70_000), /longer than 64 KiB/],
    [
      `${encode({})}.${Buffer.from(`{"a":${'['.repeat(3000)}${']'.repeat(3000)}}`).toString('base64url')}.`,
      /^The claims cannot be read: nested too deeply, more than 64 levels\.$/,
    ],
  ])('explains why %.20j is not a token', (text, message) => {
    expect(() => readToken(text)).toThrow(message)
  })
})

describe('indentJson', () => {
  it.each([
    '{"id":9007199254740993,"n":[1e400,1e-400,-0,1.0,18446744073709551615],"a":1,"a":2}',
    '{"text":"a\\"b: [1, 2]\\\\","empty":{},"list":[],"deep":[{"b":[[]]}]}',
    '{}',
  ])('shows %s as it was signed', (json) => {
    const shown = indentJson(json)
    expect(shown.replace(/\n\s*|(?<=":) /g, '')).toBe(json)
  })

  it('indents like JSON.stringify', () => {
    const value = { a: [1, { b: [] }, 'x: [y], {z}'], c: {}, d: { e: null } }
    expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2))
  })

  it('escapes characters that are invisible or reorder the line', () => {
    expect(indentJson('{"sub":"admin\u202e\u200b\u{e0041}"}')).toBe(
      '{\n  "sub": "admin\\u202e\\u200b\\udb40\\udc41"\n}',
    )
  })
})

describe('judgeToken', () => {
  it.each([
    ['{"id":9007199254740993}', 'fail: Many verifiers cannot represent the number 9007199254740993 exactly.'],
    ['{"n":[1e400]}', 'fail: Many verifiers cannot represent the number 1e400 exactly.'],
    ['{"a":1,"a":2}', 'fail: A member occurs twice. Verifiers differ in which one they use.'],
    ['{"n":[1.0,0.1,1e3,-0,9007199254740992],"t":"1e400"}', undefined],
  ])('reports what a verifier would change in %s', (json, said) => {
    const token = readToken(`${encode({})}.${Buffer.from(json).toString('base64url')}.AAAA`)
    const form = judgeToken(token, { issuer: '', audience: '' }, 0).find(({ name }) => name === 'form')
    expect(form && `${form.verdict}: ${form.detail}`).toBe(said)
  })

  const now = 1_800_000_000
  const good = { iss: 'a', sub: 'b', aud: 'c', iat: now - 60, exp: now + 240 }
  const expected = { issuer: 'a', audience: 'c' }
  const verdicts = (claims: Record<string, unknown>, header?: unknown, wants = expected) =>
    Object.fromEntries(
      judgeToken(made(claims, header), wants, now).map(({ name, verdict, detail }) => [
        name,
        `${verdict}: ${detail}`,
      ]),
    )
  const failed = (claims: Record<string, unknown>, header?: unknown) =>
    Object.values(verdicts({ ...good, ...claims }, header)).filter((verdict) => verdict.startsWith('fail'))

  it('passes a valid token and shows when it expires', () => {
    expect(verdicts(good)).toEqual({
      algorithm: 'pass: ES256. The verifier, not the token, must choose the algorithm.',
      type: 'open: JWT: an ID token, or any other kind',
      issuer: 'pass: a',
      expiry: 'pass: in 4 minutes',
      audience: 'pass: c',
      subject: 'pass: b',
      'issued at': 'pass: 60 seconds ago',
      lifetime: 'pass: 5 minutes',
    })
  })

  it('escapes invisible characters in claims that it quotes', () => {
    const shown = verdicts({ ...good, iss: 'a\u202eb', sub: 'admin\u200b', aud: 'c\u2066' })
    expect([shown.issuer, shown.subject, shown.audience]).toEqual([
      'fail: a\\u202eb, not a',
      'pass: admin\\u200b',
      'fail: c\\u2066, not c',
    ])
  })

  it('quotes an object where a string belongs', () => {
    expect(verdicts(good, { alg: 'ES256', typ: { toString: 1 } }).type).toBe('open: {"toString":1}')
  })

  it('leaves open what has no expectation', () => {
    expect(verdicts(good, undefined, { issuer: '', audience: '' })).toMatchObject({
      issuer: 'open: a. Enter the issuer that you expect.',
      audience: 'open: c. Enter the audience that you expect.',
    })
  })

  it.each([
    [{ exp: now - 41 }, undefined, '41 seconds ago'],
    [{ exp: now }, undefined, '0 seconds ago'],
    [{ exp: undefined }, undefined, 'None: the token never expires.'],
    [{ exp: '1' }, undefined, '"1" is not a number of seconds.'],
    [{ exp: now + 10 * 86_400 }, undefined, '10 days: a stolen token can be used that long.'],
    [{ nbf: now + 10 }, undefined, 'in 10 seconds: not valid yet'],
    [
      { iat: now + 86_400, exp: now + 86_401 },
      undefined,
      'in 24 hours: this clock or the issuer’s is wrong.',
    ],
    [{ iss: 'mallory' }, undefined, 'mallory, not a'],
    [{ aud: 'd' }, undefined, 'd, not c'],
    [{ aud: ['c', 'd'] }, undefined, 'c, d: each of these can replay the token at the others.'],
    [{ aud: undefined }, undefined, 'None: any service may accept the token.'],
    [{ sub: '' }, undefined, 'The token has no subject.'],
    [{}, { alg: 'nOnE' }, 'none: the token is unsigned, so anyone can forge it.'],
    [{}, { alg: 'HS256' }, 'HS256: anyone who can verify this token can also forge it.'],
    [{}, { alg: 'ES256', crit: ['x'] }, 'A verifier that does not understand ["x"] must reject the token.'],
    [{}, { alg: 'ES256', jku: 'https://evil.example' }, 'jku: the token supplies its own verification key.'],
  ])('finds what is wrong with %j %j', (claims, header, detail) => {
    expect(failed(claims, header)).toContain(`fail: ${detail}`)
  })
})

describe('the findings of the decoder', () => {
  it('are checks of the verifier, with its names, rules and order', async () => {
    const everything = { iss: 'a', sub: 'b', aud: 'c', iat: 1, nbf: 1, exp: 2 }
    const token = readToken(
      `${encode({ alg: 'ES256', typ: 'JWT', crit: ['x'], jku: 'x' })}.${Buffer.from(`${JSON.stringify(everything).slice(0, -1)},"n":1e400}`).toString('base64url')}.AAAA`,
    )
    const judged = judgeToken(token, { issuer: 'a', audience: 'c' }, 1)
    const lines = (checks: readonly { name: string; rule: string }[]) =>
      checks.map(({ name, rule }) => `${name}: ${rule}`)
    // Without a key, a status list and a kind of token these cannot be made; the page verifies a signature separately, after everything else.
    const withoutKey = TOKEN_CHECKS.filter(
      ({ name }) => !['signed', 'key', 'signature', 'use', 'token status'].includes(name),
    )
    expect(lines(judged)).toEqual(lines(withoutKey))
    expect(lines(TOKEN_CHECKS)).toContain(lines([await verifySignature(token, '')])[0])
  })
})

describe('verifySignature', () => {
  const sign = async (alg: 'RS256' | 'PS256' | 'ES256' | 'EdDSA') => {
    const key = await generateSigningKey(alg)
    return { key, token: readToken(await signToken({ sub: 'a' }, key, { lifetimeSeconds: 60 })) }
  }

  it.each(['RS256', 'PS256', 'ES256', 'EdDSA'] as const)(
    'verifies %s with a JWK, a key set and a PEM, and rejects another key',
    async (alg) => {
      const { key, token } = await sign(alg)
      const other = await generateSigningKey(alg, key.kid)
      for (const text of [
        JSON.stringify(publicJwk(key)),
        JSON.stringify(publicJwks([key])),
        exportPublicPem(key),
        JSON.stringify({ publicKey: Buffer.from(exportPublicPem(key)).toString('base64') }),
      ])
        expect(await verifySignature(token, text)).toMatchObject({ verdict: 'pass' })
      expect(await verifySignature(token, JSON.stringify(publicJwk(other)))).toMatchObject({
        verdict: 'fail',
      })
    },
  )

  it('accepts an RSA key as jwt-factory returns it: PKCS#1 in base64', async () => {
    const { key, token } = await sign('RS256')
    const pem = key.publicKey.export({ type: 'pkcs1', format: 'pem' })
    expect(await verifySignature(token, Buffer.from(pem).toString('base64'))).toMatchObject({
      verdict: 'pass',
    })
  })

  it('explains why a key cannot be used', async () => {
    const { key, token } = await sign('RS256')
    const another = await generateSigningKey('ES256')
    const why = async (text: string) => (await verifySignature(token, text)).detail
    expect(await why('')).toBe('Enter the issuer’s public key to verify the signature.')
    expect(await why(JSON.stringify(publicJwk(another)))).toBe('This key cannot verify RS256 signatures.')
    expect(await why(JSON.stringify(publicJwks([another])))).toBe(
      `The key set has no key with the kid ${key.kid}.`,
    )
    expect(await why('{')).toBe('The key is not valid JSON.')
    expect(await why('secret')).toBe('This is neither a JWK nor a PEM.')
    expect(await why(key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toMatch(
      /This is a private key/,
    )
    expect(await why(JSON.stringify(key.privateKey.export({ format: 'jwk' })))).toMatch(
      /This is a private key/,
    )
  })

  it('makes an example that passes, and a tampered one that fails', async () => {
    const good = await exampleToken()
    expect(await verifySignature(readToken(good.token), good.key)).toMatchObject({ verdict: 'pass' })
    const bad = await exampleToken({ tampered: true })
    expect(await verifySignature(readToken(bad.token), bad.key)).toMatchObject({ verdict: 'fail' })
  })
})

describe('duration', () => {
  it.each([
    [0, '0 seconds'],
    [1, '1 second'],
    [119, '119 seconds'],
    [120, '2 minutes'],
    [7200, '2 hours'],
    [172_800, '2 days'],
    [3 * 365.25 * 86_400, '3 years'],
  ])('formats %d as %s', (seconds, text) => expect(duration(seconds)).toBe(text))
})
