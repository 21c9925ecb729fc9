import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { publicJwks, SIGNATURE_ALGORITHMS, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
const NOT_ACCESS = { error: { code: 'invalid_token', message: 'jwt is not an access token' } }

async function send(token: string) {
  const answer = await gateway.request('/events', { headers: { authorization: `Bearer ${token}` } })
  answer.close()
  return [answer.status, answer.status === 200 ? undefined : answer.json]
}

/** What an ID token of Keycloak may contain: the roles of the user, and the audience of a client that is also an API. */
const ROLES = { scope: undefined, realm_access: { roles: ['proxy:stream'] } }

describe('an ID token', () => {
  it.each([
    ['with the roles that the path requires', ROLES],
    ['with these roles and a nonce', { ...ROLES, nonce: 'n' }],
    ['of Keycloak with a scope', { ...ROLES, typ: 'ID', scope: 'openid' }],
    ['with at_hash and a scope', { ...ROLES, at_hash: 'h', scope: 'openid' }],
  ])('%s opens no stream by default', async (_what, claims) => {
    await gateway.start({ ROLES_CLAIM: 'realm_access.roles' })
    expect(await send(await gateway.token(claims))).toEqual([401, NOT_ACCESS])
  })

  it('with at_hash and the scope opens none', async () => {
    await gateway.start()
    expect(await send(await gateway.token({ at_hash: 'h' }))).toEqual([401, NOT_ACCESS])
  })

  it('revokes nothing', async () => {
    await gateway.start()
    const revoke = async (claims: object) => {
      const token = await gateway.token({ sub: 'ada', ...claims })
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const jti = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti
      return (
        await gateway.request('/revocations', { method: 'POST', headers, body: JSON.stringify({ jti }) })
      ).status
    }
    expect([await revoke({}), await revoke({ at_hash: 'h' }), await revoke({ scope: undefined })]).toEqual([
      204, 401, 401,
    ])
  })
})

describe('an access token', () => {
  it('is told by a claim of the issuer, per issuer in the file', async () => {
    const jwks = join(gateway.stateFolder, 'sse/jwks.json')
    const file = join(gateway.stateFolder, 'uses.yaml')
    const path = (more: string) =>
      `paths: { /events: { upstream: '${gateway.upstream.url}', scopes: [proxy:stream], rolesClaim: realm_access.roles, issuers: [{ issuer: https://auth.example.com, audience: https://api.example.com, jwksFile: '${jwks}'${more} }] } }`
    const bearer = await gateway.token({ ...ROLES, typ: 'Bearer', nonce: 'n' })
    await writeFile(file, path(''))
    await gateway.start({ GATEWAY_CONFIG: file })
    expect(await send(bearer)).toEqual([401, NOT_ACCESS])
    await writeFile(file, path(', tokenUse: typ=Bearer'))
    await gateway.start({ GATEWAY_CONFIG: file })
    expect(await send(bearer)).toEqual([200, undefined])
    expect(await send(await gateway.token({ ...ROLES, typ: 'ID' }))).toEqual([401, NOT_ACCESS])
    await writeFile(file, path(', tokenUse: access'))
    await expect(gateway.start({ GATEWAY_CONFIG: file })).rejects.toThrow(
      'GATEWAY_CONFIG paths./events.issuers.0.tokenUse: must be at+jwt, scoped, any, or a claim and its value such as typ=Bearer',
    )
  })

  it('may have a nonce, and its scopes in scp', async () => {
    await gateway.start()
    expect(await send(await gateway.token({ nonce: 'n' }))).toEqual([200, undefined])
    for (const scp of ['x proxy:stream', ['proxy:stream']])
      expect(await send(await gateway.token({ scope: undefined, scp }))).toEqual([200, undefined])
    const [status] = await send(await gateway.token({ scope: undefined, scp: ['x'] }))
    expect(status).toBe(403)
  })

  it('that is bound to a key is not a bearer token, whether or not it has the scope', async () => {
    await gateway.start()
    const message = 'jwt is not a bearer token'
    for (const claims of [{}, { scope: undefined }, { scope: 'other' }])
      expect(await send(await gateway.token({ cnf: { jkt: 'x' }, ...claims }))).toEqual([
        401,
        { error: { code: 'invalid_token', message } },
      ])
  })

  it('may come from an issuer whose clock is 3 s ahead', async () => {
    await gateway.start()
    const token = await signToken(
      { iss: 'https://auth.example.com', aud: 'https://api.example.com', scope: 'proxy:stream' },
      gateway.keys.rs256,
      { lifetimeSeconds: 30, clock: () => gateway.clock.now() + 3_000 },
    )
    expect(await send(token)).toEqual([200, undefined])
  })

  it('may be signed with any of the ten algorithms, or with those that are configured', async () => {
    const file = join(gateway.stateFolder, 'all.json')
    const keys = SIGNATURE_ALGORITHMS.map((alg) => testKey(alg, alg))
    const ed448 = { kty: 'OKP', crv: 'Ed448', kid: 'ed448', x: 'AAAA' }
    await writeFile(file, JSON.stringify({ keys: [ed448, ...publicJwks(keys).keys] }))
    const tokens = await Promise.all(
      keys.map((key) =>
        signToken(
          { iss: 'https://auth.example.com', aud: 'https://api.example.com', scope: 'proxy:stream' },
          key,
          { lifetimeSeconds: 30, clock: gateway.clock.now },
        ),
      ),
    )
    const statuses = async () => (await Promise.all(tokens.map(send))).map(([status]) => status)
    await gateway.start({ JWKS_FILE: file })
    expect(new Set(await statuses())).toEqual(new Set([200]))
    expect(gateway.log.match(/published keys left out/g)).toHaveLength(1)
    const { warnings } = (await gateway.request('/readyz')).json as { warnings: Record<string, string> }
    expect(warnings['published keys']).toContain('key 1 ("ed448"): No supported algorithm uses')
    await gateway.start({ JWKS_FILE: file, TOKEN_ALGORITHMS: 'ES384' })
    expect((await statuses()).filter((status) => status === 200)).toHaveLength(1)
  })
})
