import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp as createBackend, loadConfig as loadBackend } from '@hallpass/backend-api/app'
import { createApp as createFactory, loadConfig as loadFactory } from '@hallpass/jwt-factory/app'
import { silentLog } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { createApp as createApi, loadConfig as loadApi } from '@hallpass/token-cache-api/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'

/** More than the 50 whose signing and next keys fit into one set. */
const KEY_IDS = Array.from({ length: 120 }, (_, index) => `service-${index}`)
/** Plain, so that its keys may be plain too, which is accepted only on this machine. */
const ISSUER = 'http://localhost:1/'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'large-issuer-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('an issuer with 120 key IDs', () => {
  const factory = useService(() =>
    createFactory(loadFactory({ PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: folder, ISSUER }), silentLog),
  )
  const api = useService(() =>
    createApi(loadApi({ PORT: '0', JWT_FACTORY_URL: factory.url(), ISSUER }), silentLog),
  )
  const backend = useService(() => {
    const JWKS_URL = `${factory.url()}/.well-known/jwks.json{?kid}`
    return createBackend(
      loadBackend({ PORT: '0', ISSUER, AUDIENCE: 'token-cache-api', JWKS_URL, TOKEN_USE: 'any' }),
      silentLog,
    )
  })
  const tokens = new Map<string, string>()
  const rotate = (keyId: string) => fetch(`${factory.url()}/keys/${keyId}`, { method: 'POST' })
  const issue = async (keyId: string) => {
    const response = await fetch(`${factory.url()}/issueToken/${keyId}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"aud":"token-cache-api"}',
    })
    expect(response.status).toBe(200)
    return response.text()
  }
  beforeAll(async () => {
    for (const keyId of KEY_IDS) {
      await rotate(keyId)
      tokens.set(keyId, await issue(keyId))
    }
  }, 60_000)

  it('does not fit into one set', async () => {
    const { keys } = (await (await fetch(`${factory.url()}/.well-known/jwks.json`)).json()) as {
      keys: unknown[]
    }
    expect(keys.length).toBeLessThanOrEqual(100)
  })

  it.each([
    ['the API of the token cache', () => `${api.url()}/`],
    ['the backend API, by a template of the URL', () => `${backend.url()}/data`],
  ])(
    'is accepted whole by %s, also after rotations, and no made-up kid is in its way',
    async (_, url) => {
      const statusOf = async (token: string) =>
        (await fetch(url(), { headers: { authorization: `Bearer ${token}` } })).status
      const refused = async () => {
        const [, payload, signature] = (tokens.get('service-0') as string).split('.')
        const header = { alg: 'ES256', typ: 'JWT', kid: `service-0-${Math.random()}` }
        const made = Buffer.from(JSON.stringify(header)).toString('base64url')
        expect(await statusOf(`${made}.${payload}.${signature}`)).toBe(401)
      }
      for (let made = 0; made < 15; made += 1) await refused()
      const statuses = await Promise.all([...tokens.values()].map(statusOf))
      expect(statuses.filter((status) => status !== 200)).toEqual([])
      for (const keyId of ['service-1', 'service-60', 'service-119']) {
        await rotate(keyId)
        expect(await statusOf(await issue(keyId))).toBe(200)
      }
    },
    60_000,
  )
})
