import { silentLog, systemClock, UnusableKeys } from '@hallpass/service-kit'
import { SIGNATURE_ALGORITHMS } from '@hallpass/tokens'
import { expect, it } from '@jest/globals'
import { IdTokens } from './id-tokens.ts'

it('rejects unencrypted keys for a provider with an https name', async () => {
  const issuer = 'https://login.example.com/'
  const idTokens = new IdTokens({
    issuerUrl: issuer,
    clientId: 'web-ui',
    algorithms: SIGNATURE_ALGORITHMS,
    leewaySeconds: 5,
    issuer: async () => ({ issuer, jwksUrl: 'http://127.0.0.1:1/jwks' }),
    unusable: new UnusableKeys(silentLog),
    clock: systemClock,
  })
  const { keys } = await idTokens.find()
  await expect(Promise.resolve(keys(issuer, 'k1', 'RS256'))).rejects.toMatchObject({
    status: 502,
    code: 'peer_not_trusted',
    message: 'issuer at http://127.0.0.1:1 is not trusted (http://127.0.0.1:1/jwks is not an https URL).',
  })
})
