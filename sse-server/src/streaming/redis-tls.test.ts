import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { silentLog } from '@hallpass/service-kit'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'

describeWith('redis-server', 'apt-get install redis-server')('a log in Redis with TLS and a password', () => {
  let folder: string
  let redis: RedisServer
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-redis-tls-'))
    const files = await ensureDevelopmentCertificates(folder)
    await ensureDevelopmentCertificates(join(folder, 'elsewhere'))
    await writeFile(join(folder, 'password'), 'a good: password\n')
    await writeFile(join(folder, 'wrong'), 'a bad password\n')
    redis = await RedisServer.start({ ...files, password: 'a good: password' })
  })
  afterAll(async () => {
    await redis.remove()
    await rm(folder, { recursive: true })
  })

  /** Returns the status of a publication. */
  async function publish(caFolder: string, passwordFile: string): Promise<number> {
    const config = loadConfig({
      HTTP_PORT: '0',
      TCP_PORT: '0',
      REDIS_URL: redis.url,
      REDIS_CA_FILE: join(folder, caFolder, 'certificates/ca.pem'),
      REDIS_PASSWORD_FILE: join(folder, passwordFile),
    })
    const service = createApp(config, silentLog)
    const { http } = await service.start()
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${http}/publish`, { method: 'POST', headers, body: '{"data":"a"}' })
    await service.stop()
    return answer.status
  }

  it('is used with the password of the file, and only if its certificate is from the configured CA', async () => {
    expect(await publish('.', 'password')).toBe(202)
    expect(await publish('.', 'wrong')).toBe(503)
    expect(await publish('elsewhere', 'password')).toBe(503)
  })
})
