import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, createLog, type Environment } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll } from '@jest/globals'
import request from 'supertest'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

/** A folder for the tests of a file, which goes away after them. */
export function useFolder() {
  const folder = { path: '' }
  beforeAll(async () => {
    folder.path = await mkdtemp(join(tmpdir(), 'jwt-factory-'))
  })
  afterAll(() => rm(folder.path, { recursive: true }))
  return folder
}

/** A running factory of its own, in an empty state folder; ES256, because such keys are made in a moment. */
export function useFactory({ env = {}, clock }: { env?: Environment; clock?: Clock } = {}) {
  const folder = useFolder()
  const lines: string[] = []
  const log = createLog('jwt-factory', 'info', { write: (line) => void lines.push(line) })
  const service = useService(() =>
    createApp(loadConfig({ PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: folder.path, ...env }), log, clock),
  )
  return {
    folder,
    lines,
    url: () => service.url(),
    get: (path: string) => request(service.url()).get(path),
    post: (path: string, body?: object) => request(service.url()).post(path).send(body),
    issue: async (keyId: string, claims: object = { aud: 'serviceb' }) =>
      (await request(service.url()).post(`/issueToken/${keyId}`).send(claims).expect(200)).text,
  }
}
