import { readFile } from 'node:fs/promises'
import { get } from 'node:https'
import { join } from 'node:path'
import {
  exportPrivatePem,
  generateSigningKey,
  importSigningKey,
  type SigningKey,
  signToken,
} from '@hallpass/tokens'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { useScenarioServices } from './testing.ts'

interface Answer {
  readonly status: number | undefined
  readonly challenge: string | undefined
  readonly body: Record<string, unknown>
}

describe.each([
  ['service-b', 'serviceb', 'servicec'],
  ['service-c', 'servicec', 'serviceb'],
] as const)('the guards of %s', (service, name, other) => {
  const services = useScenarioServices()
  let ca: string
  let keyOfA: SigningKey
  beforeAll(async () => {
    ca = await readFile(join(services.stateFolder, 'certificates/ca.pem'), 'utf8')
    const pem = await readFile(join(services.stateFolder, 'scenario-3-keys/jwt-private.pem'), 'utf8')
    keyOfA = importSigningKey(pem, { alg: 'RS256' })
  })

  const overTls = (path: string, headers: Record<string, string> = {}) =>
    new Promise<Answer>((resolve, reject) => {
      get(`${services.url(service, 'https')}${path}`, { ca, headers, agent: false }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        const challenge = response.headers['www-authenticate']
        resolve({ status: response.statusCode, challenge, body: JSON.parse(text) })
      }).on('error', reject)
    })
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const ownToken = (claims: object = {}, key = keyOfA, lifetimeSeconds = 30) =>
    signToken({ iss: 'https://service-issuer', sub: 'servicea', aud: name, ...claims }, key, {
      lifetimeSeconds,
    })

  it.each(['/scenario1-server', '/scenario2-server', '/scenario3-server', '/scenario4-server'])(
    '%s requires a token, and sends only a challenge without one (RFC 6750 §3)',
    async (path) => {
      expect(await overTls(path)).toEqual({
        status: 401,
        challenge: `Bearer realm="${name}"`,
        body: { message: 'no token provided' },
      })
    },
  )

  it.each(['/scenario1-server', '/scenario2-server'])(
    '%s accepts only a token of the factory for this service',
    async (path) => {
      const token = await services.issue({ aud: name })
      const { body } = await services.get(service, path).set(bearer(token)).expect(200)
      expect(body).toMatchObject({ valid: true, claims: { sub: 'servicea', aud: name } })
      const foreign = await services.issue({ aud: other })
      const refused = await services.get(service, path).set(bearer(foreign))
      expect([refused.status, refused.headers['www-authenticate'], refused.body]).toEqual([
        401,
        `Bearer realm="${name}", error="invalid_token", error_description="jwt audience invalid. expected: ${name}"`,
        {
          message: 'invalid token',
          valid: false,
          error: { name: 'JsonWebTokenError', message: `jwt audience invalid. expected: ${name}` },
          claims: {},
        },
      ])
    },
  )

  it.each(['/scenario3-server', '/scenario4-server'])(
    '%s accepts a token of A, only over TLS',
    async (path) => {
      expect(await overTls(path, bearer(await ownToken()))).toMatchObject({
        status: 200,
        body: { valid: true, claims: { iss: 'https://service-issuer', sub: 'servicea', aud: name } },
      })
      const clear = await services.get(service, path).set(bearer(await ownToken()))
      expect([clear.status, clear.body.error.code]).toEqual([403, 'tls_required'])
    },
  )

  it('rejects A’s tokens with a wrong audience, subject, key or lifetime, and tokens of the factory', async () => {
    const stranger = await generateSigningKey('RS256', keyOfA.kid)
    const refusals: [string, string][] = [
      [await ownToken({ aud: other }), `jwt audience invalid. expected: ${name}`],
      [await ownToken({ sub: 'serviceb' }), 'jwt subject invalid. expected: servicea'],
      [await ownToken({}, stranger), 'invalid signature'],
      [await ownToken({}, keyOfA, -10), 'jwt expired'],
      [await ownToken({}, keyOfA, 61), 'jwt lifetime too long'],
      [await services.issue({ aud: name }), 'jwt issuer invalid. expected: https://service-issuer'],
    ]
    for (const [token, message] of refusals) {
      const { status, challenge, body } = await overTls('/scenario3-server', bearer(token))
      expect({ status, body }).toMatchObject({
        status: 401,
        body: { valid: false, error: { message }, claims: {} },
      })
      expect(Object.keys(body)).toEqual(['valid', 'error', 'claims'])
      expect(challenge).toContain('error="invalid_token"')
    }
  })

  it('has no private key', async () => {
    const keySet = await readFile(join(services.stateFolder, 'scenario-3-keys/jwks.json'), 'utf8')
    expect(keySet).not.toContain((exportPrivatePem(keyOfA).split('\n')[1] as string).slice(0, 40))
    expect(Object.keys(JSON.parse(keySet).keys[0]).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
  })

  it('answers /hello without a token', async () => {
    await services.get(service, '/hello').expect(200, 'hello')
  })
})
