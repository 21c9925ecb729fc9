import { ManualClock } from '@hallpass/service-kit/testing'
import { generateSigningKey, signToken } from '@hallpass/tokens'
import { expect, it } from '@jest/globals'
import { publisherGuard } from './publisher-guard.ts'

it('does not fetch keys over http for an https issuer', async () => {
  const clock = new ManualClock()
  const names = { issuer: 'https://auth.example.com', audience: 'sse-server' }
  const jwksUrl = 'http://127.0.0.1:1/jwks'
  const verify = publisherGuard({ ...names, jwksFile: undefined, jwksUrl, maxLifetimeSeconds: 60 }, clock.now)
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
