import { writeJson } from '@hallpass/untrusted/json'
import { describe, expect, it } from '@jest/globals'
import { describeToken, generateSigningKey, signToken } from './index.ts'

describe('the description of a token', () => {
  it('contains its header, its claims and the start of its signature', async () => {
    const key = await generateSigningKey('EdDSA', 'a-key')
    const token = await signToken({ sub: 'servicea' }, key, { lifetimeSeconds: 60 })
    const signature = token.split('.')[2] as string
    const description = describeToken(token)
    expect(description).toEqual({
      header: { alg: 'EdDSA', typ: 'JWT', kid: 'a-key' },
      claims: { sub: 'servicea', exp: expect.any(Number), iat: expect.any(Number), jti: expect.any(String) },
      signature: `${signature.slice(0, 6)}…`,
    })
    expect(JSON.stringify(description)).not.toContain(signature)
  })

  it.each([
    ['', { reason: 'token_missing', message: 'jwt must be provided' }],
    ['garbage', { reason: 'not_compact', message: 'jwt malformed' }],
    ['a.b.c', { reason: 'header_malformed', message: 'invalid token', detail: 'not base64url' }],
    ['a.b.c.d.e', { reason: 'encrypted_token', message: 'jwt malformed' }],
    [undefined, { reason: 'not_a_string', message: 'jwt must be a string' }],
    [{ token: 1 }, { reason: 'not_a_string', message: 'jwt must be a string' }],
  ])('of %j reports the problem', (token, problem) => {
    expect(describeToken(token as string).problem).toEqual(problem)
  })

  it('shows the valid parts next to the malformed ones', () => {
    const header = Buffer.from('{"alg":"none"}').toString('base64url')
    const claims = Buffer.from('{"sub":1,"sub":2}').toString('base64url')
    expect(describeToken(`${header}.${claims}.`)).toEqual({
      header: { alg: 'none' },
      claims: '{"sub":1,"sub":2}',
      problem: { reason: 'claims_malformed', message: 'invalid token', detail: 'a member occurs twice' },
    })
  })

  it('shows numbers as they were signed', () => {
    const header = Buffer.from('{"alg":"none"}').toString('base64url')
    const claims = Buffer.from('{"id":9007199254740993,"n":1e400,"v":1.0}').toString('base64url')
    const { claims: shown, problem } = describeToken(`${header}.${claims}.`)
    expect(writeJson(shown)).toBe('{"id":9007199254740993,"n":1e400,"v":1.0}')
    expect(problem?.detail).toBe(
      'Member id: 9007199254740993 cannot be represented exactly; send it as a string.',
    )
  })
})
