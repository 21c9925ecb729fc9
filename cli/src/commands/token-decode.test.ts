import { generateSigningKey, libraries } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { runCli } from '../testing/run-cli.ts'

describe('hallpass token decode', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const run = (args: readonly string[], stdin?: string) =>
    runCli(['token', 'decode', ...args], { clock: () => now, ...(stdin === undefined ? {} : { stdin }) })
  const makeToken = async (claims: Record<string, unknown>) =>
    libraries['node-crypto'].sign(claims, await generateSigningKey('ES256', 'k'), 'JWT')

  it('prints header, claims, times and a truncated signature', async () => {
    const token = await makeToken({
      sub: 'a',
      exp: now / 1000 - 180,
      iat: now / 1000,
      nbf: now / 1000 + 60,
      aud: ['b'],
    })
    const signature = token.split('.')[2] as string
    const { exitCode, out } = await run([token])
    expect(exitCode).toBe(0)
    expect(out.split('\n')).toEqual([
      'header',
      expect.stringMatching(/^ {2}alg +ES256$/),
      '  typ        JWT',
      '  kid        k',
      'claims',
      '  sub        a',
      '  exp        1767225420  2025-12-31T23:57:00Z  expired 3 minutes ago',
      '  iat        1767225600  2026-01-01T00:00:00Z  now',
      '  nbf        1767225660  2026-01-01T00:01:00Z  in 60 s',
      '  aud        ["b"]',
      'signature',
      `  ${signature.slice(0, 8)}… (64 bytes, not verified)`,
    ])
    expect(out).not.toContain(signature)
    expect((await run([token, '--signature'])).out).toContain(signature)
  })

  it('reads standard input, with or without the prefix Bearer', async () => {
    const token = await makeToken({ sub: 'a' })
    expect((await run(['-'], `Bearer ${token}\n`)).out).toContain('sub        a')
    expect(JSON.parse((await run(['--json'], token)).out)).toMatchObject({
      header: { alg: 'ES256' },
      claims: { sub: 'a' },
    })
  })

  it('prints a time that no calendar has as a number', async () => {
    expect((await run([await makeToken({ exp: 1e20 })])).out).toContain('exp        100000000000000000000\n')
  })

  it('escapes control characters and line breaks of claims', async () => {
    const token = await makeToken({
      sub: 'a\u001b[1A\r\nsignature: verified\u202e\u009b2J\u200b',
      'exp\u001b[32m': [{ 'x\n': '\u001b]52;c;eA==\u0007' }],
    })
    const { out } = await runCli(['token', 'decode', token], { colourful: true })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the styles of the command itself
    const lines = out.replace(/\u001b\[\d+m/g, '').split('\n')
    expect(lines.slice(4, -2)).toEqual([
      'claims',
      '  sub        a\\u001b[1A\\r\\nsignature: verified\\u202e\\u009b2J\\u200b',
      '  exp\\u001b[32m   [{"x\\n":"\\u001b]52;c;eA==\\u0007"}]',
    ])
    const { out: json } = await run(['--json', token])
    expect(json).toMatch(/^[\n -~]+$/)
    expect(JSON.parse(json).claims.sub).toBe('a\u001b[1A\r\nsignature: verified\u202e\u009b2J\u200b')
  })

  it('prints numbers as they were signed, and warns if verifiers reject them', async () => {
    const part = (json: string) => Buffer.from(json).toString('base64url')
    const json = '{"id":9007199254740993,"max":18446744073709551615,"n":1e400,"one":1.0,"z":-0}'
    const token = `${part('{"alg":"none"}')}.${part(json)}.`
    const { exitCode, out, err } = await run([token])
    expect([exitCode, out.split('\n').slice(3, 8), err]).toEqual([
      0,
      [
        '  id         9007199254740993',
        '  max        18446744073709551615',
        '  n          1e400',
        '  one        1.0',
        '  z          -0',
      ],
      'The verifiers of the suite reject this token: invalid token ' +
        '(Member id: 9007199254740993 cannot be represented exactly; send it as a string.)',
    ])
    expect((await run(['--json', token])).out.replace(/\s/g, '')).toContain(`"claims":${json}`)
  })

  it('prints both of two equal members', async () => {
    const part = (json: string) => Buffer.from(json).toString('base64url')
    const { out, err } = await run([`${part('{"alg":"none"}')}.${part('{"a":1,"a":2}')}.`])
    expect(out).toContain('{"a":1,"a":2}')
    expect(err).toContain('a member occurs twice')
  })

  it.each([
    ['abc', 'This is not a JWT: jwt malformed.'],
    ['a.b.c', 'This is not a JWT: invalid token'],
  ])('rejects %j', async (text, message) => {
    const { exitCode, err } = await run([text])
    expect([exitCode, err.includes(message)]).toEqual([1, true])
  })
})
