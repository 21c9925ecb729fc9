import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { ensureDevelopmentCertificates, tlsFiles } from '@hallpass/certificates'
import { afterAll, describe, expect, it } from '@jest/globals'
import { useScenarioServices } from '../testing.ts'

describe('GET /scenario3', () => {
  const services = useScenarioServices()

  it('shows the claims of a token that A has signed, valid for 30 s', async () => {
    const { body } = await services.get('service-a', '/scenario3').expect(200)
    expect(body).toMatchObject({
      valid: true,
      claims: { iss: 'https://service-issuer', sub: 'servicea', aud: 'serviceb' },
    })
    expect(Object.keys(body.claims).slice(0, 5)).toEqual(['iss', 'sub', 'aud', 'exp', 'iat'])
    expect(body.claims.exp - body.claims.iat).toBe(30)
  })

  it('shows the rejection of an expired token, without a message member', async () => {
    const { text } = await services.get('service-a', '/scenario3?expired=1').expect(200)
    expect(text).toMatch(
      /^{"valid":false,"error":{"name":"TokenExpiredError","message":"jwt expired","expiredAt":"[^"]+"},"claims":{}}$/,
    )
  })

  it('works while the factory is down, because it needs only B', async () => {
    await services.stopOne('jwt-factory')
    expect((await services.get('service-a', '/scenario3').expect(200)).body.valid).toBe(true)
    await services.startOne('jwt-factory')
  })
})

describe('GET /scenario3 without keys', () => {
  const services = useScenarioServices({ keys: false })
  const missing = {
    code: 'keys_missing',
    message: 'servicea has no signing key yet.',
    step: 'curl -X POST localhost:3000/gen-keys',
  }

  it('names the step that creates them, at A and at B', async () => {
    for (const path of ['/scenario3', '/scenario4'])
      await services.get('service-a', path).expect(503, { error: missing })
    await services.post('service-a', '/gen-keys').expect(200)
    await rm(join(services.stateFolder, 'scenario-3-keys/jwks.json'))
    const { status, body } = await services.get('service-a', '/scenario3')
    expect([status, body.error.message]).toEqual([502, `serviceb answered 503: ${missing.message}`])
  })
})

describe('GET /scenario3 with another server on the port of service B', () => {
  let rogue: Server | undefined
  const seen: unknown[] = []
  afterAll(() => {
    rogue?.closeAllConnections()
    rogue?.close()
  })
  const services = useScenarioServices({
    prepare: async (stateFolder) => {
      // A valid certificate for localhost, of a CA that is not trusted here.
      const elsewhere = join(stateFolder, 'elsewhere')
      await ensureDevelopmentCertificates(elsewhere)
      const certificates = join(elsewhere, 'certificates')
      const tls = {
        certFile: join(certificates, 'localhost.pem'),
        keyFile: join(certificates, 'localhost-key.pem'),
        selfMade: false,
      }
      const server = createServer(await tlsFiles({ stateFolder: elsewhere, tls }), (request, response) => {
        seen.push(request.headers)
        response.end('{"valid":true,"claims":{}}')
      })
      rogue = server
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const url = `https://localhost:${(server.address() as AddressInfo).port}`
      return { 'service-a': { SERVICE_B_TLS_URL: url } }
    },
  })

  it('is 502 before the token is sent', async () => {
    const { status, body } = await services.get('service-a', '/scenario3')
    expect([status, body.error.code]).toEqual([502, 'peer_not_trusted'])
    expect(body.error.message).toContain('serviceb')
    expect(seen).toEqual([])
  })
})
