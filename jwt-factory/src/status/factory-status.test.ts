import { parseCompact } from '@hallpass/tokens'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../config.ts'
import { useFactory } from '../testing.ts'

const METADATA = '/.well-known/oauth-authorization-server'

describe('a factory with STATUS_LIST=on', () => {
  const factory = useFactory({ env: { STATUS_LIST: 'on', PUBLIC_URL: 'https://factory.example:443' } })
  beforeAll(() => factory.get('/keys/servicea').expect(200))

  it('gives each token a status of its own, whatever status the body asks for', async () => {
    const asked = { aud: 'serviceb', status: { status_list: { idx: 0, uri: 'https://evil.example/1' } } }
    const tokens = await Promise.all([factory.issue('servicea', asked), factory.issue('servicea', asked)])
    const places = tokens.map((token) => parseCompact(token).payload.status)
    const uri = expect.stringMatching(/^https:\/\/factory\.example\/status-lists\/[A-Za-z0-9_-]{16}$/)
    expect(places).toEqual([0, 1].map((idx) => ({ status_list: { idx, uri } })))
  })

  it('names its lists in the metadata, and signs them with a key ID of their own', async () => {
    await factory.issue('servicea')
    const { body } = await factory.get(METADATA).expect(200)
    expect(body.status_list_aggregation_endpoint).toBe('https://factory.example:443/status-lists')
    const { status_lists: uris } = (await factory.get('/status-lists').expect(200)).body
    const { text } = await factory.get(new URL(uris[0]).pathname).expect(200)
    const { keys } = (await factory.get('/keys/status-list/jwks.json').expect(200)).body
    expect(keys.map(({ kid }: { kid: string }) => kid)).toContain(parseCompact(text).header.kid)
  })
})

describe('a factory without STATUS_LIST', () => {
  const factory = useFactory()
  beforeAll(() => factory.get('/keys/servicea').expect(200))

  it('issues the documented claims and publishes no lists', async () => {
    const { payload } = parseCompact(await factory.issue('servicea'))
    expect(Object.keys(payload)).toEqual(['iss', 'sub', 'aud', 'exp', 'iat', 'jti'])
    await factory.get('/status-lists').expect(404)
    expect((await factory.get(METADATA)).body).not.toHaveProperty('status_list_aggregation_endpoint')
  })
})

it('STATUS_LIST needs a PUBLIC_URL in production, because its URIs are in the tokens', () => {
  const env = {
    NODE_ENV: 'production',
    MESH: 'istio',
    STATUS_LIST: 'on',
    TRUSTED_CALLERS_FILE: 'callers.yaml',
  }
  expect(() => loadConfig(env)).toThrow('STATUS_LIST needs PUBLIC_URL')
  expect(loadConfig({ ...env, PUBLIC_URL: 'https://factory.example' })).toMatchObject({ statusList: true })
})
