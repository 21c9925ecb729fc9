import { systemClock } from '@hallpass/service-kit'
import { expect, it } from '@jest/globals'
import type { OpenidClient } from './openid-client.ts'
import { TrustedIssuer } from './trusted-issuer.ts'

it('rejects unencrypted keys for a provider with an https name', async () => {
  const issuer = 'https://login.example.com/'
  const provider = { issuer: async () => ({ issuer, jwksUrl: 'http://127.0.0.1:1/jwks' }) }
  const { keys } = await new TrustedIssuer(provider as OpenidClient, systemClock).find()
  await expect(Promise.resolve(keys(issuer, 'k1', 'RS256'))).rejects.toMatchObject({
    status: 502,
    code: 'peer_not_trusted',
    message: 'issuer at http://127.0.0.1:1 is not trusted (http://127.0.0.1:1/jwks is not an https URL).',
  })
})
