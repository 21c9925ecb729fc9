import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@hallpass/service-kit'
import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'

async function start(stateFolder: string) {
  const service = await createApp(
    loadConfig({ PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: stateFolder }),
    silentLog,
  )
  const { http } = await service.start()
  return { api: request(http as string), stop: () => service.stop() }
}

async function until(isSo: () => Promise<boolean>) {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('POST /utils/dump', () => {
  it('also saves later next keys as soon as they are published, and the next start creates none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dump-keys-'))
    try {
      const before = await start(folder)
      const kids = async ({ api }: typeof before) =>
        ((await api.get('/.well-known/jwks.json')).body.keys as { kid: string }[]).map(({ kid }) => kid)
      await before.api.get('/keys/service-a').expect(200)
      await before.api.post('/utils/dump').expect(200)
      await until(async () => (await kids(before)).length === 2)
      await until(async () => existsSync(join(folder, 'keys/service-a.next-public.pem')))
      const published = await kids(before)
      await before.stop()

      const after = await start(folder)
      expect(await kids(after)).toEqual(published)
      await after.stop()
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it.each(['/utils/dump', '/dump'])(
    '(%s) restores the keys after a restart, and their tokens stay valid',
    async (path) => {
      const folder = await mkdtemp(join(tmpdir(), 'dump-keys-'))
      try {
        const before = await start(folder)
        const { body } = await before.api.get('/keys/service-a')
        const token = (await before.api.post('/issueToken/service-a').send({ aud: 'serviceb' })).text
        await before.api.post('/keys/service-a').expect(200)
        await before.api.get('/keys/serviceb').expect(200)
        await before.api.post(path).expect(200, 'OK')
        await before.api.get('/keys/forgotten').expect(200)
        await before.stop()

        const after = await start(folder)
        await after.api.get('/utils/keys').expect(200, ['service-a', 'serviceb'])
        expect((await after.api.get('/utils/publicKey/service-a')).body).not.toEqual(body)
        await after.api
          .post('/verify/service-a')
          .send({ token, aud: 'serviceb', sub: 'service-a' })
          .expect(200)
        await after.stop()
      } finally {
        await rm(folder, { recursive: true })
      }
    },
  )
})
