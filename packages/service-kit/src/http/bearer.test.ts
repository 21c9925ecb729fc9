import { describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { createLog } from '../observation/log.ts'
import type { TokenRefusal } from '../observation/verification.ts'
import { developmentConfig } from '../testing.ts'
import { requireBearer } from './bearer.ts'
import { httpService } from './http-service.ts'

class Expired extends Error implements TokenRefusal {
  override readonly name = 'TokenExpiredError'
  readonly reason = 'expired'
  toJSON() {
    return { name: this.name, message: this.message, expiredAt: '2026-01-01T00:00:00.000Z' }
  }
}

const lines: string[] = []
const { app } = httpService({
  name: 'guarded',
  log: createLog('guarded', 'info', { write: (line) => void lines.push(line) }),
  config: developmentConfig,
  listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
  routes: (routes) => {
    const verify = (token: string) => {
      if (token === 'expired') throw new Expired('jwt "expired"\n')
      if (token === 'broken') throw new Error('the verifier is down')
      if (token === 'keyless')
        throw Object.assign(new Error('The set has no usable key.'), {
          name: 'KeySetError',
          reason: 'no_usable_key',
        })
      if (token === 'undecided')
        throw Object.assign(new Error('Retry after 6 s.'), {
          name: 'KeyNotLoadedError',
          retryAfterSeconds: 6,
        })
      if (token.startsWith('scp-'))
        return { claims: { sub: 'servicea', scp: token === 'scp-string' ? 'read write' : ['read', 'write'] } }
      return { claims: { sub: 'servicea', jti: 'id-1', scope: token === 'reader' ? 'read' : 'read write' } }
    }
    routes.get(
      '/',
      requireBearer({ realm: 'test', verify }),
      (_request, response) => void response.json({ ok: true }),
    )
    routes.get('/write', requireBearer({ realm: 'test', verify, scopes: ['write'] }), (request, response) => {
      response.json((request as unknown as { token: { claims: unknown } }).token.claims)
    })
  },
})
const get = (path: string, authorization?: string) => {
  const request = supertest(app).get(path)
  return authorization === undefined ? request : request.set('authorization', authorization)
}

describe('requireBearer', () => {
  it.each(['Bearer good', 'bearer good', 'Bearer  good'])('accepts %s', async (authorization) => {
    await get('/', authorization).expect(200, { ok: true })
  })

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic good',
    'good',
    'Bearer good trailing',
    'Bearer good,good',
    'Bearer\tgood',
  ])('answers 401 with a bare challenge to %j', async (authorization) => {
    const response = await get('/', authorization)
    expect(response.status).toBe(401)
    expect(response.headers['www-authenticate']).toBe('Bearer realm="test"')
    expect(response.body).toEqual({ message: 'no token provided' })
  })

  it('answers 401 invalid_token to a rejected token and escapes the description', async () => {
    const response = await get('/', 'Bearer expired')
    expect(response.status).toBe(401)
    expect(response.headers['www-authenticate']).toBe(
      `Bearer realm="test", error="invalid_token", error_description="jwt 'expired''"`,
    )
    expect(response.headers['cache-control']).toBe('no-store')
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ msg: 'request', status: 401, reason: 'expired' })
    expect(response.body).toEqual({
      message: 'invalid token',
      valid: false,
      error: { name: 'TokenExpiredError', message: 'jwt "expired"\n', expiredAt: '2026-01-01T00:00:00.000Z' },
      claims: {},
    })
  })

  it('answers 403 insufficient_scope to a valid token without the scope', async () => {
    const response = await get('/write', 'Bearer reader')
    expect(response.status).toBe(403)
    expect(response.headers['www-authenticate']).toBe(
      'Bearer realm="test", error="insufficient_scope", scope="write"',
    )
    expect(response.body.error.code).toBe('insufficient_scope')
    await get('/write', 'Bearer writer').expect(200)
  })

  it.each(['scp-string', 'scp-list'])('reads the scopes of Entra and Okta from scp (%s)', async (token) => {
    await get('/write', `Bearer ${token}`).expect(200)
  })

  it('fails closed when the verifier itself fails', async () => {
    const response = await get('/', 'Bearer broken')
    expect(response.status).toBe(500)
    expect(JSON.stringify(response.body)).not.toContain('verifier is down')
  })

  it('answers 400 to a token in the URL', async () => {
    const response = await get('/?access_token=good')
    expect(response.status).toBe(400)
    expect(response.headers['www-authenticate']).toContain('error="invalid_request"')
  })

  it('answers 502, and does not blame the token, if the published keys cannot be used', async () => {
    const response = await get('/', 'Bearer keyless')
    expect([response.status, response.body]).toEqual([
      502,
      { error: { code: 'keys_unusable', message: 'The set has no usable key.' } },
    ])
  })

  it('answers 503 with Retry-After, and logs no error, if the key of the token cannot be loaded yet', async () => {
    const response = await get('/', 'Bearer undecided')
    expect([response.status, response.body, response.headers['retry-after']]).toEqual([
      503,
      { error: { code: 'keys_unavailable', message: 'Retry after 6 s.' } },
      '6',
    ])
    expect(response.headers['www-authenticate']).toBeUndefined()
    expect(JSON.parse(lines.at(-2) ?? '')).toMatchObject({ level: 40, code: 'keys_unavailable' })
  })
})
