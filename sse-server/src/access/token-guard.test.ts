import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { expect, it } from '@jest/globals'
import { loadConfig } from '../config.ts'
import { tokenGuard } from './token-guard.ts'

it('does not fetch keys over http for an https issuer', async () => {
  const clock = new ManualClock()
  const names = { issuer: 'https://auth.example.com', audience: 'sse-server' }
  const jwksUrl = 'http://127.0.0.1:1/jwks'
  const verify = tokenGuard(
    {
      ...names,
      jwksFile: undefined,
      jwksUrl,
      algorithms: ['ES256'],
      maxLifetimeSeconds: 60,
      leewaySeconds: 5,
    },
    clock.now,
  )
  const claims = { iss: names.issuer, aud: names.audience, sub: 'p', scope: 'publish' }
  const token = await signToken(claims, await generateSigningKey('ES256'), {
    lifetimeSeconds: 60,
    clock: clock.now,
  })
  await expect(verify(token)).rejects.toMatchObject({
    status: 502,
    code: 'peer_not_trusted',
    message: 'issuer at http://127.0.0.1:1 is not trusted (http://127.0.0.1:1/jwks is not an https URL).',
  })
})

it('accepts tokens of an issuer whose clock is 2 s ahead or behind', async () => {
  const clock = new ManualClock()
  const folder = await mkdtemp(join(tmpdir(), 'token-guard-'))
  const key = testKey('ES256', 'publisher')
  await writeFile(join(folder, 'jwks.json'), JSON.stringify(publicJwks([key])))
  const env = { PUBLISHERS: 'token', ISSUER: 'i', AUDIENCE: 'a', JWKS_FILE: join(folder, 'jwks.json') }
  const verifier = (more = {}) => {
    const { guard } = loadConfig({ ...env, ...more })
    if (!guard) throw new Error('PUBLISHERS=token has a guard.')
    return tokenGuard(guard, clock.now)
  }
  const signedAt = (skewMs: number, lifetimeSeconds: number) =>
    signToken({ iss: 'i', aud: 'a', sub: 'p' }, key, { lifetimeSeconds, clock: () => clock.now() + skewMs })
  for (const [token, reason] of [
    [await signedAt(2_000, 60), 'issued_in_future'],
    [await signedAt(-2_000, 1), 'expired'],
  ] as const) {
    expect((await verifier()(token)).claims.sub).toBe('p')
    await expect(verifier({ CLOCK_TOLERANCE_SECONDS: '0' })(token)).rejects.toMatchObject({ reason })
  }
  await rm(folder, { recursive: true })
})

it('accepts every algorithm of other issuers, or only those of TOKEN_ALGORITHMS', async () => {
  const clock = new ManualClock()
  const folder = await mkdtemp(join(tmpdir(), 'token-guard-'))
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'es384', alg: 'ES384' }
  await writeFile(join(folder, 'jwks.json'), JSON.stringify({ keys: [jwk] }))
  const now = Math.floor(clock.now() / 1000)
  const input = [
    { alg: 'ES384', kid: 'es384' },
    { iss: 'i', aud: 'a', sub: 'p', iat: now, exp: now + 60 },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = sign('sha384', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const token = `${input}.${signature.toString('base64url')}`
  const env = { PUBLISHERS: 'token', ISSUER: 'i', AUDIENCE: 'a', JWKS_FILE: join(folder, 'jwks.json') }
  const verify = (more = {}) => {
    const { guard } = loadConfig({ ...env, ...more })
    if (!guard) throw new Error('PUBLISHERS=token has a guard.')
    return tokenGuard(guard, clock.now)(token)
  }
  expect((await verify()).claims.sub).toBe('p')
  await expect(verify({ TOKEN_ALGORITHMS: 'RS256, ES256' })).rejects.toMatchObject({
    reason: 'alg_not_allowed',
    message: 'invalid algorithm',
  })
  expect(() => loadConfig({ ...env, TOKEN_ALGORITHMS: 'HS256' })).toThrow(
    'TOKEN_ALGORITHMS: HS256 is not one of',
  )
  await rm(folder, { recursive: true })
})
