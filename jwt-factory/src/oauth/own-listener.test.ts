import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestAuthority } from '@hallpass/callers/testing'
import { ConfigError, silentLog } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'

const clients = new TestAuthority('clients')
const servers = new TestAuthority('servers')
const batch = clients.issue({ subject: [['commonName', 'batch']] })
const stranger = new TestAuthority('clients').issue({ subject: [['commonName', 'batch']] })

describe('the factory’s own TLS listener', () => {
  let folder: string
  const variables = (more: object) => ({
    PORT: '0',
    HTTPS_PORT: '0',
    ALGORITHM: 'ES256',
    STATE_FOLDER: join(folder, 'state'),
    CERT_FILE: join(folder, 'server.pem'),
    KEY_FILE: join(folder, 'server.key'),
    CALLERS: 'authenticated',
    TRUSTED_CALLERS_FILE: join(folder, 'callers.json'),
    ...more,
  })
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'own-listener-'))
    const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 })
    const { cert, key } = servers.issueServer()
    await write('server.pem', cert)
    await write('server.key', key)
    await write('clients.pem', clients.pem)
    const entry = {
      method: 'tls_client_auth',
      clientId: 'batch',
      caFile: 'clients.pem',
      subjectDn: 'CN=batch',
    }
    await write('callers.json', JSON.stringify({ callers: [{ ...entry, keyId: 'batch', admin: true }] }))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const service = useService(() =>
    createApp(loadConfig(variables({ CLIENT_CA_FILE: join(folder, 'clients.pem') })), silentLog),
  )

  const introspect = (certificate?: { cert: string; key: string }) => {
    const sent = request(service.url('https')).post('/introspect').ca(servers.pem).type('form')
    return (certificate ? sent.cert(certificate.cert).key(certificate.key) : sent).send({
      client_id: 'batch',
      token: 'x',
    })
  }

  it('authenticates a client by its certificate (tls_client_auth), and no other', async () => {
    await introspect(batch).expect(200, { active: false })
    const { status, body } = await introspect(stranger)
    expect([status, body.error]).toEqual([401, 'invalid_client'])
    expect((await introspect()).status).toBe(401)
  })

  it('must request certificates if the trusted-callers file has clients that use them', async () => {
    const start = createApp(loadConfig(variables({})), silentLog)
    await expect(start).rejects.toThrow(
      new ConfigError([
        'CLIENT_CA_FILE is required, because TRUSTED_CALLERS_FILE has clients with tls_client_auth, whose certificates the TLS listener must request: set it with HTTPS_PORT to the CAs of these clients',
      ]),
    )
  })
})
