import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { TestCallers } from '@hallpass/callers/testing'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { silentLog } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'
import { useFolder } from './testing.ts'

const ISSUER = 'https://jwt-factory/'
/** Another machine's view of this one, if it has an address besides loopback. */
const address = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

describe('jwt-factory between machines', () => {
  const folder = useFolder()
  const callers = new TestCallers({ servicea: { keyId: 'servicea', admin: true } })
  const service = useService(async () => {
    const { certFile, keyFile } = await ensureDevelopmentCertificates(folder.path)
    return createApp(
      loadConfig({
        NODE_ENV: 'production',
        PORT: '0',
        HTTPS_PORT: '0',
        CERT_FILE: certFile,
        KEY_FILE: keyFile,
        ALGORITHM: 'ES256',
        STATE_FOLDER: folder.path,
        ...(await callers.prepare(folder.path)),
      }),
      silentLog,
    )
  })

  const issue = async (url: string) =>
    request(url)
      .post('/issueToken/servicea')
      .ca(await readFile(join(folder.path, 'certificates/ca.pem')))
      .set('authorization', await callers.as('servicea', ISSUER))
      .send({ aud: 'serviceb' })

  it('issues tokens over TLS, and on the loopback interface of its machine', async () => {
    await request(service.url('http'))
      .get('/keys/servicea')
      .set('authorization', await callers.as('servicea', ISSUER))
      .expect(200)
    for (const url of [service.url('https'), service.url('http')]) {
      const { status, text } = await issue(url)
      expect([status, text]).toEqual([200, expect.stringMatching(/^eyJ/)])
    }
    expect(service.url('https')).toMatch(/^https:/)
  })

  const itElsewhere = address === undefined ? it.skip : it
  itElsewhere('refuses a credential that crossed the network unencrypted', async () => {
    const { port } = new URL(service.url('http'))
    const { status, body } = await issue(`http://${address}:${port}`)
    expect([status, body]).toEqual([
      403,
      { error: { code: 'tls_required', message: 'This endpoint requires TLS. Use the https URL.' } },
    ])
    await request(`http://${address}:${port}`).get('/.well-known/jwks.json').expect(200)
  })
})
