import { mkdtemp, readdir, rm } from 'node:fs/promises'
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

describe('POST /utils/dump', () => {
  it('also saves later keys, and the next start has the same', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dump-keys-'))
    try {
      const before = await start(folder)
      const kids = async ({ api }: typeof before) =>
        ((await api.get('/keys/service-a/jwks.json')).body.keys as { kid: string }[]).map(({ kid }) => kid)
      await before.api.get('/keys/service-a').expect(200)
      await before.api.post('/utils/dump').expect(200)
      expect((await readdir(join(folder, 'keys'))).sort()).toEqual([
        'service-a-private.pem',
        'service-a-public.pem',
      ])
      await before.api.post('/keys/service-a').expect(200)
      // Waits for the next key, which is made in the background.
      await before.stop()
      expect(
        (await readdir(join(folder, 'keys'))).map((file) => file.replace(/-\d{10}-.{22}/, '')).sort(),
      ).toEqual([
        'service-a-private.pem',
        'service-a-public.pem',
        'service-a.next-private.pem',
        'service-a.next-public.pem',
        'service-a.retired-public.pem',
      ])

      const after = await start(folder)
      expect(await kids(after)).toHaveLength(3)
      await after.stop()
      // The PEM files alone are a backup.
      await rm(join(folder, 'issuer'), { recursive: true })
      const restored = await start(folder)
      expect(await kids(restored)).toHaveLength(3)
      await restored.stop()
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
        await before.api.get('/keys/later').expect(200)
        await before.stop()

        const after = await start(folder)
        await after.api.get('/utils/keys').expect(200, ['later', 'service-a', 'serviceb'])
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
