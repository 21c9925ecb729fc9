import { generateSigningKey, libraries } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { runCli } from '../testing/run-cli.ts'

describe('hallpass token decode', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const run = (args: readonly string[], stdin?: string) =>
    runCli(['token', 'decode', ...args], { clock: () => now, ...(stdin === undefined ? {} : { stdin }) })
  const makeToken = async (claims: Record<string, unknown>) =>
    libraries['node-crypto'].sign(claims, await generateSigningKey('ES256', 'k'), 'JWT')

  it('shows header, claims and times, and a signature that cannot be used', async () => {
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

  it('reads standard input, with the word Bearer or without', async () => {
    const token = await makeToken({ sub: 'a' })
    expect((await run(['-'], `Bearer ${token}\n`)).out).toContain('sub        a')
    expect(JSON.parse((await run(['--json'], token)).out)).toMatchObject({
      header: { alg: 'ES256' },
      claims: { sub: 'a' },
    })
  })

  it('shows a time that no calendar has as the number that it is', async () => {
    expect((await run([await makeToken({ exp: 1e20 })])).out).toContain('exp        100000000000000000000\n')
  })

  it.each([
    ['abc', 'This is not a JWT: jwt malformed.'],
    ['a.b.c', 'This is not a JWT: invalid token'],
  ])('refuses %j', async (text, message) => {
    const { exitCode, err } = await run([text])
    expect([exitCode, err.includes(message)]).toEqual([1, true])
  })
})
