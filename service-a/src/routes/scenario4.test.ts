import { describe, expect, it } from '@jest/globals'
import { useScenarioServices } from '../testing.ts'

describe('GET /scenario4', () => {
  const services = useScenarioServices()

  it('shows that B and C have each accepted their own token of A', async () => {
    const { body } = await services.get('service-a', '/scenario4').expect(200)
    expect(body).toMatchObject({
      serviceB: { valid: true, claims: { iss: 'https://service-issuer', sub: 'servicea', aud: 'serviceb' } },
      serviceC: { valid: true, claims: { iss: 'https://service-issuer', sub: 'servicea', aud: 'servicec' } },
    })
  })

  it('expires both', async () => {
    const { body } = await services.get('service-a', '/scenario4?expired=1').expect(200)
    const refusal = {
      valid: false,
      error: { name: 'TokenExpiredError', message: 'jwt expired', expiredAt: expect.any(String) },
      claims: {},
    }
    expect(body).toEqual({ serviceB: refusal, serviceC: refusal })
  })

  it('is 502 and names service C while it is down', async () => {
    await services.stopOne('service-c')
    const { status, body } = await services.get('service-a', '/scenario4')
    expect([status, body.error.message]).toEqual([502, expect.stringContaining('servicec')])
    await services.startOne('service-c')
    await services.get('service-a', '/scenario4').expect(200)
  })
})
