import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { WorkloadApiClient } from '@hallpass/spiffe'
import { remoteKeys, verifyToken } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import { type RunningAgent, startAgent } from '../testing/agent.ts'

const ISSUER = 'http://agent.example.org'
const audience = 'an ordinary service'

const get = async (url: string) => (await fetch(url)).json() as Promise<Record<string, unknown>>

let agent: RunningAgent
/** Milliseconds that the agent's clock is ahead, so that a rotation completes immediately. */
let ahead = 0
let client: WorkloadApiClient
const fetchToken = async () => (await client.fetchJwtSvid({ audience })).marshal()

describe.each(['ES256', 'RS256', 'PS256'])('with %s, a JWT-SVID is a valid ordinary token', (algorithm) => {
  beforeAll(async () => {
    ahead = 0
    agent = await startAgent(
      { JWT_ISSUER: ISSUER, JWT_ALGORITHM: algorithm },
      { clock: () => Date.now() + ahead },
    )
    client = new WorkloadApiClient({ address: agent.address('client') })
  })
  afterAll(async () => {
    client.close()
    await agent.stop()
  })

  it('and discovery returns the URL of the keys', async () => {
    expect(await get(`${agent.urls.http}/.well-known/openid-configuration`)).toEqual({
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/keys`,
      authorization_endpoint: '',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [algorithm],
    })
  })

  it('for jose, also after a rotation', async () => {
    const keys = createRemoteJWKSet(new URL(`${agent.urls.http}/keys`), { cooldownDuration: 0 })
    const verify = async (token: string) => jwtVerify(token, keys, { issuer: ISSUER, audience })
    const before = await fetchToken()
    expect((await verify(before)).payload.sub).toBe('spiffe://example.org/client')
    const { activeAfterSeconds } = await agent.admin.rotate('jwt')
    ahead += activeAfterSeconds * 1000
    let after = before
    for (const kid = kidOf(before); kidOf(after) === kid; after = await fetchToken())
      await new Promise((resolve) => setTimeout(resolve, 10))
    expect((await verify(after)).protectedHeader.kid).not.toBe(kidOf(before))
    expect((await verify(before)).protectedHeader.kid).toBe(kidOf(before))
  })

  it('for jsonwebtoken', async () => {
    const token = await fetchToken()
    const { keys } = (await get(`${agent.urls.http}/keys`)) as { keys: (JsonWebKey & { kid: string })[] }
    const jwk = keys.find(({ kid }) => kid === kidOf(token)) as JsonWebKey
    const claims = jsonwebtoken.verify(token, createPublicKey({ key: jwk, format: 'jwk' }), {
      issuer: ISSUER,
      audience,
      algorithms: [algorithm as 'ES256'],
    })
    expect(claims).toMatchObject({ sub: 'spiffe://example.org/client' })
  })

  it('for our own verifier', async () => {
    const { claims } = await verifyToken(await fetchToken(), {
      issuer: ISSUER,
      audience,
      audienceList: 'contains',
      subject: 'spiffe://example.org/client',
      keys: remoteKeys({ issuer: ISSUER, load: () => get(`${agent.urls.http}/keys`) }),
      maxLifetimeSeconds: 300,
      clock: () => Date.now() + ahead,
    })
    expect(claims.iss).toBe(ISSUER)
  })
})

describe('GET /keys', () => {
  it('can omit `use`, and is not cacheable', async () => {
    const plain = await startAgent({ JWK_USE: 'none' })
    const response = await fetch(`${plain.urls.http}/keys`)
    expect(response.headers.get('cache-control')).toBe('no-cache')
    const { keys } = (await response.json()) as { keys: object[] }
    expect(keys[0]).not.toHaveProperty('use')
    expect(keys[0]).not.toHaveProperty('d')
    await plain.stop()
  })
})

const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()).kid
