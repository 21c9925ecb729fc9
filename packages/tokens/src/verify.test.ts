import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  generateSigningKey,
  type SigningKey,
  signToken,
  staticKeys,
  TokenError,
  verifyToken,
} from './index.ts'

describe('a token that was signed here', () => {
  let key: SigningKey
  beforeAll(async () => {
    key = await generateSigningKey('RS256')
  })
  const rules = () => ({
    issuer: 'https://issuer',
    audience: 'serviceb',
    subject: 'servicea',
    keys: staticKeys('https://issuer', [key]),
    maxLifetimeSeconds: 3600,
  })

  it('is good for its audience', async () => {
    const claims = { iss: 'https://issuer', aud: 'serviceb', sub: 'servicea' }
    const token = await signToken(claims, key, { lifetimeSeconds: 60 })
    const verified = await verifyToken(token, rules())
    expect(verified.claims).toMatchObject(claims)
    expect(verified.checks.every(({ passed }) => passed)).toBe(true)
  })

  it('is refused when it has expired', async () => {
    const claims = { iss: 'https://issuer', aud: 'serviceb', sub: 'servicea' }
    const token = await signToken(claims, key, { lifetimeSeconds: -3600 })
    const error = await verifyToken(token, rules()).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TokenError)
    expect(error).toMatchObject({ name: 'TokenExpiredError', message: 'jwt expired', reason: 'expired' })
  })
})
