import { describe, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'
import { useOAuthServer } from './testing.ts'

const PATH = '/.well-known/oauth-authorization-server'
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

describe('GET /.well-known/oauth-authorization-server', () => {
  const factory = useFactory()
  const configured = useFactory({ env: { PUBLIC_URL: 'https://factory.example/' } })

  it('contains the URLs of keys and endpoints, which the caller cannot change', async () => {
    const { body } = await factory.get(PATH).set('host', 'localhost:1').expect(200)
    expect(body).toEqual({
      issuer: 'https://jwt-factory/',
      jwks_uri: `${factory.url()}/.well-known/jwks.json`,
      token_endpoint: `${factory.url()}/token`,
      token_endpoint_auth_methods_supported: ['none'],
      introspection_endpoint: `${factory.url()}/introspect`,
      introspection_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint: `${factory.url()}/revoke`,
      revocation_endpoint_auth_methods_supported: ['none'],
      grant_types_supported: ['client_credentials'],
      response_types_supported: [],
    })
    await factory.get(new URL(body.jwks_uri).pathname).expect(200)
    for (const name of ['token', 'introspection', 'revocation'])
      await factory.post(new URL(body[`${name}_endpoint`]).pathname).expect(name === 'token' ? 401 : 400)
  })

  it('uses the configured public URL', async () => {
    const { body } = await configured.get(PATH)
    expect(body.jwks_uri).toBe('https://factory.example/.well-known/jwks.json')
  })

  it('is not an OpenID configuration, because there are no ID tokens', async () => {
    await factory.get('/.well-known/openid-configuration').expect(404)
  })
})

describe('the metadata of a factory whose clients authenticate', () => {
  const server = useOAuthServer({ path: '/tenant/a(b)/' })
  const behindProxy = useOAuthServer({
    env: { PUBLIC_URL: 'http://factory.internal', MTLS_PUBLIC_URL: 'https://mtls.factory.example/' },
  })
  const withoutTls = useOAuthServer({ env: { PUBLIC_URL: 'http://factory.internal' } })
  const read = async (from: typeof server, path = PATH) => {
    const response = await from.fetch(from.url() + path)
    return (await response.json()) as Record<string, unknown>
  }

  it('has the methods of its trusted-callers file, their algorithms and scopes', async () => {
    const methods = ['private_key_jwt', 'tls_client_auth', 'spiffe_jwt']
    expect(await read(server)).toMatchObject({
      issuer: `${server.url()}/tenant/a(b)/`,
      token_endpoint_auth_methods_supported: methods,
      token_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
      introspection_endpoint_auth_methods_supported: methods,
      introspection_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
      revocation_endpoint_auth_methods_supported: methods,
      revocation_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
      scopes_supported: ['orders:read', 'orders:write'],
    })
  })

  it('is also at the path that RFC 8414 §3.1 derives from an issuer with a path', async () => {
    expect(await read(server, `${PATH}/tenant/a(b)`)).toEqual(await read(server))
  })

  it('has tls_client_auth only where a client can connect with TLS (RFC 8705 §5)', async () => {
    const body = await read(behindProxy)
    expect(body.token_endpoint_auth_methods_supported).toContain('tls_client_auth')
    expect(body).toMatchObject({
      token_endpoint: 'http://factory.internal/token',
      mtls_endpoint_aliases: {
        token_endpoint: 'https://mtls.factory.example/token',
        introspection_endpoint: 'https://mtls.factory.example/introspect',
        revocation_endpoint: 'https://mtls.factory.example/revoke',
      },
    })
    expect((await read(withoutTls)).token_endpoint_auth_methods_supported).toEqual([
      'private_key_jwt',
      'spiffe_jwt',
    ])
  })
})
