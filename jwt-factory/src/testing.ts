import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestCallers } from '@hallpass/callers/testing'
import { type Clock, createLog, type Environment } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { LmdbStore } from '@hallpass/token-store'
import { afterAll, beforeAll } from '@jest/globals'
import request from 'supertest'
import { type AppOptions, createApp } from './app.ts'
import { loadConfig } from './config.ts'

/** Creates a folder for the tests of a file, deleted after them. */
export function useFolder() {
  const folder = newFolder()
  afterAll(() => rm(folder.path, { recursive: true }))
  return folder
}

function newFolder() {
  const folder = { path: '' }
  beforeAll(async () => {
    folder.path = await mkdtemp(join(tmpdir(), 'jwt-factory-'))
  })
  return folder
}

/** Opens an embedded store for the tests of a file, closed and deleted after them. */
export function useStore(clock?: Clock) {
  const folder = newFolder()
  let free = Number.MAX_SAFE_INTEGER
  const stores: LmdbStore[] = []
  const open = async (name = 'shared') => {
    const store = new LmdbStore({
      folder: join(folder.path, name),
      freeBytes: () => free,
      ...(clock ? { clock } : {}),
    })
    stores.push(store)
    await store.open()
    return store
  }
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()))
    await rm(folder.path, { recursive: true })
  })
  return {
    /** Opens the store of this name once more, as another process does. */
    open,
    /** Makes the disk appear to have this much room. */
    setFreeBytes: (bytes: number) => {
      free = bytes
    },
  }
}

export interface FactoryOptions {
  readonly env?: Environment
  /** Replaces the configured store. */
  readonly makeStore?: AppOptions['makeStore']
  readonly clock?: Clock
  /** Prepares the state folder and returns additional variables for the factory. */
  readonly prepare?: (stateFolder: string) => Promise<Environment>
}

/** Starts a factory in an empty state folder; with ES256, because such keys are generated quickly. */
export function useFactory({ env = {}, clock, prepare, makeStore }: FactoryOptions = {}) {
  const folder = newFolder()
  const lines: string[] = []
  const log = createLog('jwt-factory', 'info', { write: (line) => void lines.push(line) })
  const service = useService(async () => {
    const prepared = await prepare?.(folder.path)
    const config = { PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: folder.path, ...env, ...prepared }
    return createApp(loadConfig(config), log, clock, makeStore ? { makeStore } : {})
  })
  // After the service has stopped, because it may still be writing there.
  afterAll(() => rm(folder.path, { recursive: true }))
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

/**
 * Starts a factory with authenticated callers: services A, B and C own the keys of their names, an issuer issues tokens
 * about users, and an operator is an administrator.
 */
export function useClosedFactory() {
  const callers = new TestCallers({
    servicea: { keyId: 'servicea' },
    serviceb: { keyId: 'serviceb' },
    servicec: { keyId: 'servicec' },
    issuer: { keyId: 'issuer', audiences: ['api'], claims: ['sub', 'roles'], scopes: ['read'] },
    operator: { admin: true },
  })
  type Name = 'servicea' | 'serviceb' | 'servicec' | 'issuer' | 'operator'
  const factory = useFactory({ prepare: (stateFolder) => callers.prepare(stateFolder) })
  const as = (name: Name) => callers.as(name, 'https://jwt-factory/')
  beforeAll(async () => {
    await factory
      .get('/keys/servicea')
      .set('authorization', await as('operator'))
      .expect(200)
  })
  return {
    ...factory,
    as,
    /** Returns a token from service A for service B. */
    issueAsA: async () => {
      const request = factory.post('/issueToken/servicea', { aud: 'serviceb' })
      return (await request.set('authorization', await as('servicea')).expect(200)).text
    },
    postForm: async (path: string, form: object, name: Name) =>
      factory
        .post(path)
        .type('form')
        .set('authorization', await as(name))
        .send(form),
  }
}
