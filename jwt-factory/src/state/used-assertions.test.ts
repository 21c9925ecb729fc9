import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestCallers } from '@hallpass/callers/testing'
import { ConfigError, type Environment, silentLog } from '@hallpass/service-kit'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { type FactoryProcess, startFactoryProcess } from '../testing/factory-process.ts'

/** Starts replicas, of which each has its state where `envOf` tells, and a caller with one key ID. */
function useReplicas(envOf: (folder: string, replica: string) => Promise<Environment>) {
  const callers = new TestCallers({ operator: { admin: true, keyId: 'servicea' } })
  const running: FactoryProcess[] = []
  let folder = ''
  let trust: Environment
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'used-assertions-'))
    trust = await callers.prepare(folder)
  })
  afterAll(async () => {
    for (const factory of running) await factory.stop()
    await rm(folder, { recursive: true })
  })
  return {
    start: async (replica: string) => {
      const factory = await startFactoryProcess({ ...trust, ...(await envOf(folder, replica)) })
      running.push(factory)
      return factory
    },
    assertion: () => callers.as('operator', 'https://jwt-factory/'),
  }
}

/** Uses an assertion; returns the status and the message of the error. */
async function use(factory: FactoryProcess, authorization: string): Promise<[number, string | undefined]> {
  const response = await fetch(`${factory.url}/keys/servicea`, { headers: { authorization } })
  const body = (await response.json().catch(() => ({}))) as { error?: { message: string } }
  return [response.status, body.error?.message]
}

const USED = [401, 'Client authentication failed: the assertion was already used.']

function itAcceptsAnAssertionOnce(replicas: ReturnType<typeof useReplicas>) {
  it('accept an assertion once together, also at the other endpoints, and after one was killed', async () => {
    const [one, other] = [await replicas.start('one'), await replicas.start('other')]
    const [first, second] = [await replicas.assertion(), await replicas.assertion()]
    expect(await use(one, first)).toEqual([200, undefined])
    expect(await use(other, first)).toEqual(USED)
    const response = await fetch(`${other.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        resource: 'serviceb',
        client_assertion: first.replace('Bearer ', ''),
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      }),
    })
    expect([response.status, await response.json()]).toMatchObject([401, { error: 'invalid_client' }])
    const answers = await Promise.all([one, other].map((factory) => use(factory, second)))
    expect(answers.map(([status]) => status).sort()).toEqual([200, 401])

    await one.kill()
    const again = await replicas.start('one')
    for (const used of [first, second]) expect(await use(again, used)).toEqual(USED)
    expect(await use(again, await replicas.assertion())).toEqual([200, undefined])
  }, 60_000)
}

describe('factories on one folder', () => {
  itAcceptsAnAssertionOnce(useReplicas(async (folder) => ({ STATE_FOLDER: join(folder, 'state') })))
})

describeWith('redis-server', 'apt-get install redis-server')('factories with Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())
  itAcceptsAnAssertionOnce(
    useReplicas(async (folder, replica) => {
      const kek = join(folder, 'kek')
      await writeFile(kek, randomBytes(32).toString('base64'), { flag: 'wx', mode: 0o600 }).catch(() => {})
      return {
        STATE_FOLDER: join(folder, replica),
        REDIS_URL: redis.url,
        KEY_ENCRYPTION_KEY_FILE: kek,
      }
    }),
  )
})

describe('a factory whose trusted-callers file is not valid', () => {
  it('does not start, and leaves its state closed for the next start', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bad-callers-'))
    const file = join(folder, 'callers.json')
    await writeFile(file, '{}')
    const config = loadConfig({
      PORT: '0',
      ALGORITHM: 'ES256',
      STATE_FOLDER: folder,
      CALLERS: 'authenticated',
      TRUSTED_CALLERS_FILE: file,
    })
    try {
      for (const _attempt of [1, 2]) await expect(createApp(config, silentLog)).rejects.toThrow(ConfigError)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
