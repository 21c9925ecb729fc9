import { describe, expect, it } from '@jest/globals'
import { loadConfig } from '../config.ts'

const token = { ISSUER: 'https://i', AUDIENCE: 'a' }
const production = { NODE_ENV: 'production', CERT_FILE: 'c', KEY_FILE: 'k', ...token }

describe.each([
  ['PUBLISHERS', 'publishersNeedToken', { READERS: 'token' }],
  ['READERS', 'readersNeedToken', { PUBLISHERS: 'token' }],
] as const)('%s', (name, need, other) => {
  const needed = (env: Record<string, string>) => loadConfig(env)[need]
  const clients = name.toLowerCase()

  it('need no token on this machine in development', () => {
    expect(needed({})).toBe(false)
    expect(needed({ HOST: '::1', [name]: 'open' })).toBe(false)
    expect(needed({ ...token, [name]: 'token' })).toBe(true)
  })

  it('need one in production', () => {
    expect(needed(production)).toBe(true)
  })

  it('need none if the operator asserts that the network admits no others', () => {
    expect(needed({ ...production, [name]: 'network' })).toBe(false)
    expect(needed({ ...token, ...other, HOST: '0.0.0.0', [name]: 'network' })).toBe(false)
    const { guard } = loadConfig({ HOST: '0.0.0.0', READERS: 'network', PUBLISHERS: 'network' })
    expect(guard).toBeUndefined()
  })

  it('cannot be open on other addresses or in production, in a mesh either', () => {
    expect(() => needed({ ...token, ...other, HOST: '0.0.0.0' })).toThrow(
      `${name}=open does not authenticate ${clients}, so HOST must be a loopback address, but is "0.0.0.0"`,
    )
    for (const env of [{ HOST: '127.0.0.1' }, { MESH: 'istio' }])
      expect(() => needed({ ...production, ...env, [name]: 'open' })).toThrow(
        `${name}=open does not authenticate ${clients}, so it is not allowed in production: use token, or network if the network admits no others`,
      )
    expect(() => needed({ [name]: 'closed' })).toThrow(
      `${name} must be one of open, token, network, but is "closed"`,
    )
  })
})
