import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportPrivatePem } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../config.ts'

const LOGIN = {
  SHOULD_AUTHENTICATE: 'true',
  ISSUER_BASE_URL: 'https://login.example.com/o/app/',
  AUTH0_CLIENT_ID: 'client',
}

describe('the configuration of the provider', () => {
  it('keeps path and slash of the issuer', () => {
    expect(loadConfig(LOGIN).login?.provider.issuerUrl).toBe('https://login.example.com/o/app/')
    expect(loadConfig({ ...LOGIN, SHOULD_AUTHENTICATE: 'false' }).gateway.provider?.issuerUrl).toBe(
      'https://login.example.com/o/app/',
    )
  })

  it.each(['ISSUER_BASE_URL', 'ISSUER_BACK_CHANNEL_URL', 'JWKS_URL'])(
    'refuses http for %s beyond this machine in development too, except in a mesh',
    (name) => {
      for (const mode of ['true', 'false']) {
        const env = { ...LOGIN, SHOULD_AUTHENTICATE: mode, [name]: 'http://idp.example/realm' }
        expect(() => loadConfig(env)).toThrow(
          `${name} is not encrypted, so anyone on the network can replace its keys and sign tokens: use an https URL, or set MESH ` +
            'to the name of the mesh that encrypts and authenticates this connection (e.g. MESH=istio), but is "http://idp.example/realm"',
        )
        expect(() => loadConfig({ ...env, MESH: 'istio' })).not.toThrow()
        expect(() => loadConfig({ ...env, [name]: 'http://localhost:9000' })).not.toThrow()
      }
    },
  )

  it('reads the algorithms, by default all ten', () => {
    expect(loadConfig(LOGIN).login?.provider.algorithms).toHaveLength(10)
    expect(loadConfig({ ...LOGIN, TOKEN_ALGORITHMS: 'RS512, ES384' }).login?.provider.algorithms).toEqual([
      'RS512',
      'ES384',
    ])
    expect(() => loadConfig({ ...LOGIN, TOKEN_ALGORITHMS: 'HS256' })).toThrow(
      'TOKEN_ALGORITHMS: HS256 is not one of',
    )
  })
})

describe('the configuration of the client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-client-key-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, mode: number) => {
    const file = join(folder, name)
    writeFileSync(file, exportPrivatePem(testKey('ES256', 'client')), { mode })
    return file
  }
  const auth = (env: Record<string, string>) => loadConfig({ ...LOGIN, ...env }).login?.clientAuth

  it('has a method, and what it needs', () => {
    expect(auth({})).toEqual({ method: undefined })
    expect(auth({ CLIENT_AUTH: 'none' })).toEqual({ method: 'none' })
    expect(auth({ CLIENT_AUTH: 'client_secret_post' })).toEqual({ method: 'client_secret_post' })
    expect(auth({ CLIENT_AUTH: 'spiffe_jwt', CLIENT_ASSERTION_FILE: '/svid' })).toEqual({
      method: 'spiffe_jwt',
      assertionFile: '/svid',
    })
    const keyFile = write('key.pem', 0o600)
    expect(
      auth({ CLIENT_AUTH: 'private_key_jwt', CLIENT_KEY_FILE: keyFile, CLIENT_KEY_ALGORITHM: 'ES256' }),
    ).toEqual({ method: 'private_key_jwt', keyFile, algorithm: 'ES256', keyId: undefined })
  })

  it.each(['none', 'private_key_jwt', 'spiffe_jwt', 'kubernetes'])(
    '%s with a secret is an error',
    (CLIENT_AUTH) => {
      expect(() => auth({ CLIENT_AUTH, AUTH0_SECRET: 's' })).toThrow(
        `CLIENT_AUTH=${CLIENT_AUTH} uses no secret, but AUTH0_SECRET is set: remove AUTH0_SECRET, or set CLIENT_AUTH to client_secret_basic`,
      )
    },
  )

  it.each([
    ['CLIENT_KEY_FILE', undefined, 'private_key_jwt'],
    ['CLIENT_KEY_ID', 'client_secret_basic', 'private_key_jwt'],
    ['CLIENT_KEY_ALGORITHM', 'none', 'private_key_jwt'],
    ['CLIENT_ASSERTION_FILE', 'private_key_jwt', 'spiffe_jwt or kubernetes'],
    ['CLIENT_KEY_FILE', 'kubernetes', 'private_key_jwt'],
  ])('%s with %s is an error: it would have no effect', (name, method, needed) => {
    const values = { [name]: 'x', ...(method === undefined ? {} : { CLIENT_AUTH: method }) }
    expect(() => auth(values)).toThrow(
      `${name} needs CLIENT_AUTH=${needed}, but CLIENT_AUTH is ${method ?? 'not set'}`,
    )
  })

  it('a method without a secret needs none in production', () => {
    const env = { ...LOGIN, NODE_ENV: 'production', MESH: 'istio', RANDOM_SECRET: 'x'.repeat(44) }
    const urls = { BASE_URL: 'https://web', CLIENT_AUTH: 'none' }
    expect(loadConfig({ ...env, ...urls }).login?.clientAuth).toEqual({ method: 'none' })
    expect(() => loadConfig({ ...env, ...urls, CLIENT_AUTH: 'client_secret_post' })).toThrow(
      'AUTH0_SECRET or AUTH0_SECRET_FILE is required in production',
    )
  })

  it('names a missing, exposed or unfitting key file, and a missing variable', () => {
    const withKey = (CLIENT_KEY_FILE: string, alg = 'ES256') =>
      auth({ CLIENT_AUTH: 'private_key_jwt', CLIENT_KEY_FILE, CLIENT_KEY_ALGORITHM: alg })
    expect(() => withKey(join(folder, 'none.pem'))).toThrow(/CLIENT_KEY_FILE .*none\.pem: does not exist/)
    const exposed = write('exposed.pem', 0o644)
    expect(() => withKey(exposed)).toThrow(/CLIENT_KEY_FILE .*exposed\.pem: .*chmod/)
    expect(() => withKey(write('key2.pem', 0o600), 'RS256')).toThrow(
      'Set CLIENT_KEY_ALGORITHM to the algorithm of the key.',
    )
    expect(() => auth({ CLIENT_AUTH: 'private_key_jwt' })).toThrow('CLIENT_KEY_FILE is required')
    expect(() => auth({ CLIENT_AUTH: 'kubernetes' })).toThrow('CLIENT_ASSERTION_FILE is required')
    expect(() => auth({ CLIENT_AUTH: 'basic' })).toThrow('CLIENT_AUTH must be one of client_secret_basic')
  })
})
