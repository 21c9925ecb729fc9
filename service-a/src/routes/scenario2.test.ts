import { describe, expect, it } from '@jest/globals'
import { useScenarioServices } from '../testing.ts'

describe('GET /scenario2', () => {
  const services = useScenarioServices()

  it('shows that B and C have each accepted their own token', async () => {
    const { body } = await services.get('service-a', '/scenario2').expect(200)
    expect(Object.keys(body)).toEqual(['serviceb', 'servicec'])
    for (const aud of ['serviceb', 'servicec'])
      expect(body[aud]).toMatchObject({
        valid: true,
        claims: { iss: 'https://jwt-factory/', sub: 'servicea', aud },
      })
    expect(body.serviceb.claims.jti).not.toBe(body.servicec.claims.jti)
  })

  it('expires only the token for C', async () => {
    const { body } = await services.get('service-a', '/scenario2?expired=1').expect(200)
    expect(body.serviceb.valid).toBe(true)
    expect(body.servicec).toEqual({
      message: 'invalid token',
      valid: false,
      error: { name: 'TokenExpiredError', message: 'jwt expired', expiredAt: expect.any(String) },
      claims: {},
    })
  })

  it('gets no token and calls nobody for an unknown fault', async () => {
    const issued = async () => {
      const { text } = await services.get('jwt-factory', '/metrics')
      return Number(/^tokens_issued_total\{[^}]*key_id="servicea"[^}]*\} (\d+)$/m.exec(text)?.[1])
    }
    const before = await issued()
    const { status, body } = await services.get('service-a', '/scenario2?fault=nope')
    expect([status, body.error.code]).toEqual([400, 'unknown_fault'])
    await services.get('service-a', '/scenario2').expect(200)
    expect(await issued()).toBe(before + 2)
  })

  it('is 502 and names service C while it is down', async () => {
    await services.stopOne('service-c')
    const { status, body } = await services.get('service-a', '/scenario2')
    expect([status, body.error.message]).toEqual([502, expect.stringContaining('servicec')])
    await services.startOne('service-c')
    await services.get('service-a', '/scenario2').expect(200)
  })
})
