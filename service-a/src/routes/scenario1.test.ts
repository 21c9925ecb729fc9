import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { useScenarioServices } from '../testing.ts'

describe('GET /scenario1', () => {
  const services = useScenarioServices()
  const scenario1 = (query = '') => services.get('service-a', `/scenario1${query}`)

  it('shows the claims that service B has accepted', async () => {
    const { body, headers } = await scenario1().expect(200)
    expect(headers['content-type']).toBe('application/json; charset=utf-8')
    expect(body).toEqual({
      valid: true,
      claims: {
        iss: 'https://jwt-factory/',
        sub: 'servicea',
        aud: 'serviceb',
        exp: expect.any(Number),
        iat: expect.any(Number),
        jti: expect.any(String),
      },
    })
    expect(Object.keys(body.claims).slice(0, 5)).toEqual(['iss', 'sub', 'aud', 'exp', 'iat'])
    expect(body.claims.exp - body.claims.iat).toBe(3600)
  })

  it.each(['1', '123', 'true'])('shows the rejection of an expired token with ?expired=%s', async (value) => {
    const { text } = await scenario1(`?expired=${value}`).expect(200)
    expect(text).toMatch(
      /^{"message":"invalid token","valid":false,"error":{"name":"TokenExpiredError","message":"jwt expired","expiredAt":"[\d-]+T[\d:]+\.000Z"},"claims":{}}$/,
    )
  })

  it.each(['0', 'false', ''])('treats ?expired=%s as false', async (value) => {
    expect((await scenario1(`?expired=${value}`)).body.valid).toBe(true)
  })
})

describe('GET /scenario1 with a missing key or service', () => {
  const services = useScenarioServices({ keys: false })

  it('names the step that creates the key', async () => {
    const { status, body } = await services.get('service-a', '/scenario1')
    expect([status, body]).toEqual([
      503,
      {
        error: {
          code: 'key_missing',
          message: 'jwt-factory has no key named servicea yet.',
          step: `curl ${services.url('jwt-factory')}/keys/servicea`,
        },
      },
    ])
  })

  it('is 502 and names service B while it is down, and works again once it is up', async () => {
    await services.get('jwt-factory', '/keys/servicea').expect(200)
    await services.get('service-a', '/scenario1').expect(200)
    await services.stopOne('service-b')
    const { status, body } = await services.get('service-a', '/scenario1')
    expect([status, body.error.code]).toEqual([502, 'peer_unreachable'])
    expect(body.error.message).toContain('serviceb')
    await services.startOne('service-b')
    expect((await services.get('service-a', '/scenario1').expect(200)).body.valid).toBe(true)
  })

  it('is 502 and names the factory while it is down, at A and at B', async () => {
    const token = await services.issue({ aud: 'serviceb' })
    await services.stopOne('jwt-factory')
    const atA = await services.get('service-a', '/scenario1')
    expect([atA.status, atA.body.error.message]).toEqual([502, expect.stringContaining('jwt-factory')])
    const atB = await services.get('service-b', '/scenario1-server').set('authorization', `Bearer ${token}`)
    expect([atB.status, atB.body.error.message]).toEqual([502, expect.stringContaining('jwt-factory')])
    await services.get('service-a', '/healthz').expect(200)
    await services.startOne('jwt-factory')
    await services.get('jwt-factory', '/keys/servicea').expect(200)
    expect((await services.get('service-a', '/scenario1').expect(200)).body.valid).toBe(true)
  })
})

describe('GET /scenario1 with a callee that is not service B', () => {
  const answers: Record<string, (response: import('node:http').ServerResponse) => void> = {
    silent: () => {},
    page: (response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>'),
    redirect: (response) => response.writeHead(302, { location: 'http://evil.example/' }).end(),
    'wrong 200': (response) => response.writeHead(200).end('"hello"'),
  }
  let answer: (response: import('node:http').ServerResponse) => void = () => {}
  const server = createServer((_request, response) => answer(response))
  const services = useScenarioServices({
    prepare: async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      return { 'service-a': { SERVICE_B_URL: url, PEER_TIMEOUT_MS: '300' } }
    },
  })

  it.each([
    ['silent', 504, 'peer_timeout', 'serviceb'],
    ['page', 502, 'peer_unexpected_answer', 'serviceb answered 502'],
    ['redirect', 502, 'peer_unexpected_answer', 'serviceb answered 302'],
    ['wrong 200', 502, 'peer_unexpected_answer', 'serviceb answered 200'],
  ])('(%s) is %i', async (kind, status, code, message) => {
    answer = answers[kind] as typeof answer
    const response = await services.get('service-a', '/scenario1')
    expect([response.status, response.body.error.code]).toEqual([status, code])
    expect(response.body.error.message).toContain(message)
    if (kind === 'wrong 200') {
      server.closeAllConnections()
      server.close()
    }
  })
})
