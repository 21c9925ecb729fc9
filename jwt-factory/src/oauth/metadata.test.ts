import { describe, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'

describe('GET /.well-known/oauth-authorization-server', () => {
  const factory = useFactory()
  const configured = useFactory({ env: { PUBLIC_URL: 'https://factory.example/' } })

  it('contains the URLs of keys and endpoints, which the caller cannot change', async () => {
    const { body } = await factory
      .get('/.well-known/oauth-authorization-server')
      .set('host', 'localhost:1')
      .expect(200)
    expect(body).toMatchObject({
      issuer: 'https://jwt-factory/',
      jwks_uri: `${factory.url()}/.well-known/jwks.json`,
      introspection_endpoint: `${factory.url()}/introspect`,
      response_types_supported: [],
    })
    await factory.get(new URL(body.jwks_uri).pathname).expect(200)
  })

  it('uses the configured public URL', async () => {
    const { body } = await configured.get('/.well-known/oauth-authorization-server')
    expect(body.jwks_uri).toBe('https://factory.example/.well-known/jwks.json')
  })
})
