import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { anySubject, parseCompact, staticKeys, verifyToken } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { runCli } from '../testing/run-cli.ts'

describe('hallpass token', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-cli-'))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const now = Date.parse('2026-01-01T00:00:00Z')
  const exp = now / 1000 + 30
  const run = (...args: string[]) =>
    runCli(['token', ...args], { env: { STATE_FOLDER: folder }, clock: () => now })
  const claimsOf = (token: string) => parseCompact(token).payload

  async function verify(token: string) {
    const { rs256, es256 } = await ensureExampleKeys(join(folder, 'sse'))
    return verifyToken(token, {
      issuer: 'https://auth.example.com',
      audience: 'https://api.example.com',
      subject: anySubject,
      keys: staticKeys('https://auth.example.com', [rs256, es256]),
      maxLifetimeSeconds: 3600,
      clock: () => now,
    })
  }

  it('prints a stream token for 30 seconds, signed with the example key, which it creates if missing', async () => {
    const { exitCode, out, err } = await run()
    expect([exitCode, err]).toEqual([0, ''])
    const { header, claims } = await verify(out)
    expect(header).toEqual({ typ: 'JWT', alg: 'RS256', kid: 'example' })
    expect(claims).toEqual({
      aud: 'https://api.example.com',
      exp,
      iat: exp - 30,
      iss: 'https://auth.example.com',
      jti: expect.any(String),
      scope: 'proxy:stream',
      sub: 'example',
    })
    expect((await stat(join(folder, 'sse/private.pem'))).mode & 0o777).toBe(0o600)
  })

  it('accepts the documented command unchanged, with the key in a file', async () => {
    const { out } = await run(
      ...['--alg', 'RS256', '--kid', 'example', '--iss', 'https://auth.example.com'],
      ...['--aud', 'https://api.example.com', '--sub', 'example', '--exp=+30s', '--no-iat'],
      ...['--payload', 'scope=proxy:stream', '--secret', `@${join(folder, 'sse/private.pem')}`],
    )
    const { claims } = await verify(out)
    expect({ ...claims, jti: undefined }).toEqual({
      aud: 'https://api.example.com',
      exp,
      iss: 'https://auth.example.com',
      scope: 'proxy:stream',
      sub: 'example',
      jti: undefined,
    })
  })

  it('signs with the other example key', async () => {
    const { header } = await verify((await run('--alg', 'ES256')).out)
    expect(header).toEqual({ typ: 'JWT', alg: 'ES256', kid: 'example_ec' })
  })

  it('keeps the types of claims and omits those of --no options', async () => {
    const { out } = await run(
      '{"more":{"a":[1]}}',
      ...['-P', 'n=1', '-P', 'yes=true', '-P', 'text=a=b', '-P', 'list=["a"]', '-P', 'scope=', '--nbf', '5m'],
      ...['--no-iat', '--no-iss', '--no-aud', '--no-sub', '--no-exp', '--no-jti'],
    )
    expect(claimsOf(out)).toEqual({
      more: { a: [1] },
      n: 1,
      yes: true,
      text: 'a=b',
      list: ['a'],
      scope: '',
      nbf: now / 1000 + 300,
    })
  })

  it('makes an expired token', async () => {
    await expect(verify((await run('--exp=-1m')).out)).rejects.toThrow('jwt expired')
  })

  it.each([
    [['--alg', 'HS256'], 2, 'HMAC is not supported'],
    [['--alg', 'none'], 2, 'Use RS256, PS256, ES256 or EdDSA.'],
    [['--alg', 'EdDSA'], 2, 'No example key for EdDSA. Give a key with --secret @file.pem.'],
    [['--secret', 'swordfish'], 2, '--secret requires a file, such as @private.pem'],
    [['--secret', '@/no/such.pem'], 1, '/no/such.pem cannot be read: ENOENT.'],
    [['--secret', `@${import.meta.filename}`], 1, 'token.test.ts: '],
    [['--exp', 'soon'], 2, '"soon" is not a valid time'],
    [['--payload', 'scope'], 2, 'Expected name=value.'],
    [['[1]'], 2, 'Claims must be a JSON object.'],
    [['--colour'], 2, "Unknown option '--colour'"],
  ])('rejects %j', async (args, code, message) => {
    const { exitCode, out, err } = await run(...args)
    expect([exitCode, out]).toEqual([code, ''])
    expect(err).toContain(message)
    expect(err).not.toContain('    at ')
  })
})
