import { AssertionType } from '@hallpass/callers'
import { type Algorithm, parseCompact } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { clientKeys, useOAuthServer, WORKLOAD } from './testing.ts'

/** Returns a client's private key as the clients want it. */
async function cryptoKey(name: 'servicea' | 'serviceb') {
  const der = clientKeys[name].privateKey.export({ type: 'pkcs8', format: 'der' })
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  return crypto.subtle.importKey('pkcs8', Uint8Array.from(der), algorithm, false, ['sign'])
}

const accessToken = {
  token_type: 'bearer',
  expires_in: 3600,
  access_token: expect.stringMatching(/^eyJ/),
}

type Certificate = ReturnType<typeof useOAuthServer>['certificates']['batch']

describe('the unmodified oauth4webapi', () => {
  const server = useOAuthServer()
  const options = (certificate?: Certificate) => ({
    [oauth.customFetch]: (url: string, init: object) => server.fetch(url, init, certificate),
  })

  async function discover() {
    const issuer = new URL(server.issuer())
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options() })
    return oauth.processDiscoveryResponse(issuer, response)
  }

  /** Gets a token, introspects and revokes it, all as one client. */
  async function roundTrip(client: oauth.Client, auth: oauth.ClientAuth, certificate?: Certificate) {
    const as = await discover()
    const http = options(certificate)
    const grant = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(as, client, auth, { audience: 'serviceb' }, http),
    )
    const introspect = async () =>
      oauth.processIntrospectionResponse(
        as,
        client,
        await oauth.introspectionRequest(as, client, auth, grant.access_token, http),
      )
    const before = await introspect()
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, auth, grant.access_token, http),
    )
    return { grant, before, after: await introspect() }
  }

  const active = (client: string) => ({
    active: true,
    iss: server.issuer(),
    sub: client,
    client_id: client,
    aud: 'serviceb',
    token_type: 'Bearer',
    exp: expect.any(Number),
    iat: expect.any(Number),
    jti: expect.any(String),
  })

  it('gets, introspects and revokes a token with private_key_jwt', async () => {
    const auth = oauth.PrivateKeyJwt(await cryptoKey('servicea'))
    const { grant, before, after } = await roundTrip({ client_id: 'servicea' }, auth)
    expect(grant).toEqual(accessToken)
    expect([before, after]).toEqual([active('servicea'), { active: false }])
    const { header, payload } = parseCompact(grant.access_token)
    expect(header).toEqual({ alg: 'ES256' satisfies Algorithm, typ: 'at+jwt', kid: expect.any(String) })
    expect(payload).toEqual({
      iss: server.issuer(),
      sub: 'servicea',
      aud: 'serviceb',
      client_id: 'servicea',
      exp: (payload.iat as number) + 3600,
      iat: expect.any(Number),
      jti: expect.any(String),
    })
  })

  it('gets, introspects and revokes a token with its certificate (tls_client_auth)', async () => {
    const { grant, before, after } = await roundTrip(
      { client_id: 'batch' },
      oauth.TlsClientAuth(),
      server.certificates.batch,
    )
    expect(grant).toEqual(accessToken)
    expect([before, after]).toEqual([active('batch'), { active: false }])
  })

  it.each([
    ['a JWT-SVID', AssertionType.jwtSpiffe, () => server.svid(), WORKLOAD],
    ['a JWT-SVID and the key ID', AssertionType.jwtSpiffe, () => server.svid(), 'servicea'],
    ['a Kubernetes token', AssertionType.jwtBearer, () => server.podToken(), 'servicea'],
    ['an OpenID provider’s token', AssertionType.jwtBearer, () => server.clientToken(), 'batch-job'],
  ])('gets, introspects and revokes a token with %s', async (_what, type, assertion, clientId) => {
    const auth: oauth.ClientAuth = async (_as, client, body) => {
      body.set('client_id', client.client_id)
      body.set('client_assertion_type', type)
      body.set('client_assertion', await assertion())
    }
    const { grant, before, after } = await roundTrip({ client_id: clientId }, auth)
    expect(grant).toEqual(accessToken)
    expect([before, after]).toEqual([active('servicea'), { active: false }])
  })

  it('is told why it gets no token', async () => {
    const as = await discover()
    const client = { client_id: 'servicea' }
    const auth = oauth.PrivateKeyJwt(await cryptoKey('servicea'))
    const request = oauth.clientCredentialsGrantRequest(as, client, auth, { audience: 'api' }, options())
    await expect(oauth.processClientCredentialsResponse(as, client, await request)).rejects.toMatchObject({
      status: 400,
      error: 'invalid_target',
      error_description: 'servicea is not allowed to get tokens for the audience api.',
    })
    const forged = oauth.PrivateKeyJwt(await cryptoKey('serviceb'))
    const second = oauth.clientCredentialsGrantRequest(as, client, forged, {}, options())
    await expect(oauth.processClientCredentialsResponse(as, client, await second)).rejects.toMatchObject({
      code: oauth.WWW_AUTHENTICATE_CHALLENGE,
      status: 401,
    })
  })
})

describe('the unmodified openid-client', () => {
  const server = useOAuthServer({ path: '/tenant' })

  async function configuration(clientId: string, auth: openid.ClientAuth, certificate?: Certificate) {
    const customFetch = (url: string, init: object) => server.fetch(url, init, certificate)
    const found = await openid.discovery(new URL(server.issuer()), clientId, undefined, auth, {
      algorithm: 'oauth2',
      [openid.customFetch]: customFetch,
    })
    return found
  }

  it('discovers an issuer with a path (RFC 8414 §3.1), gets, introspects and revokes a token', async () => {
    const client = await configuration('servicea', openid.PrivateKeyJwt(await cryptoKey('servicea')))
    expect(client.serverMetadata()).toMatchObject({
      issuer: server.issuer(),
      token_endpoint: `${server.url()}/token`,
    })
    const parameters = { resource: 'https://orders.example/api', scope: 'orders:read' }
    const {
      access_token: token,
      scope,
      expires_in: lifetime,
    } = await openid.clientCredentialsGrant(client, parameters)
    expect([scope, lifetime]).toEqual(['orders:read', 3600])
    expect(await openid.tokenIntrospection(client, token, { token_type_hint: 'access_token' })).toMatchObject(
      {
        active: true,
        aud: 'https://orders.example/api',
        scope: 'orders:read',
        client_id: 'servicea',
      },
    )
    await openid.tokenRevocation(client, token)
    expect(await openid.tokenIntrospection(client, token)).toEqual({ active: false })
  })

  it('gets, introspects and revokes a token with its certificate', async () => {
    const client = await configuration('batch', openid.TlsClientAuth(), server.certificates.batch)
    const { access_token: token } = await openid.clientCredentialsGrant(client)
    expect(await openid.tokenIntrospection(client, token)).toMatchObject({
      active: true,
      sub: 'batch',
      aud: 'serviceb',
    })
    await openid.tokenRevocation(client, token)
    expect(await openid.tokenIntrospection(client, token)).toEqual({ active: false })
  })
})

describe('the unmodified openid-client in development mode', () => {
  const server = useOAuthServer({ env: { CALLERS: 'open' } })

  it('needs only a client ID', async () => {
    await server.fetch(`${server.url()}/keys/servicea`)
    const client = await openid.discovery(new URL(server.issuer()), 'servicea', undefined, openid.None(), {
      algorithm: 'oauth2',
      [openid.customFetch]: (url: string, init: object) => server.fetch(url, init),
    })
    expect(client.serverMetadata().token_endpoint_auth_methods_supported).toEqual(['none'])
    const { access_token: token } = await openid.clientCredentialsGrant(client, { resource: 'serviceb' })
    expect(await openid.tokenIntrospection(client, token)).toMatchObject({ active: true, sub: 'servicea' })
    await openid.tokenRevocation(client, token)
    expect(await openid.tokenIntrospection(client, token)).toEqual({ active: false })
  })
})
