import { ManualClock } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { Introspection } from './introspection.ts'
import { TestAuthorizationServer } from './testing/authorization-server.ts'

const AUDIENCE = 'https://api.example.com'
const clock = new ManualClock('2026-11-30T12:00:00Z')
const server = new TestAuthorizationServer()
beforeAll(() => server.start())
afterAll(() => server.remove())
beforeEach(() => server.reset())

const introspection = () =>
  new Introspection({
    issuer: server.issuer,
    url: server.url,
    clientId: server.clientId,
    clientSecretFile: server.secretFile,
    credential: { kind: 'none' },
    cacheMs: 10_000,
    clock: clock.now,
  })
const rules = {
  issuer: 'https://login.example.com',
  audience: AUDIENCE,
  audienceList: 'contains',
  answeredAudience: 'required',
  tokenUse: 'scoped',
  leewaySeconds: 5,
} as const
const valid = (members: object = {}) => {
  const iat = clock.now() / 1000
  return { aud: AUDIENCE, sub: 'ada', token_type: 'Bearer', iat, exp: iat + 60, ...members }
}
const outcome = (result: Promise<unknown>) =>
  result.then(
    () => 'accepted',
    (error) => [error.status, error.code ?? error.reason, error.message, error.headers?.['retry-after']],
  )

describe('introspection', () => {
  it.each([
    ['without exp, which the rules require', { exp: undefined }, ['expiry_missing', 'token exp required']],
    ['without sub, which the rules require', { sub: undefined }, ['subject_missing', 'token sub required']],
    [
      'that is valid for too long',
      { exp: 1_796_040_000 + 101 },
      ['lifetime_too_long', 'token lifetime too long'],
    ],
    ['that expires now, without a tolerance', { exp: 1_796_040_000 }, ['expired', 'token expired']],
  ])('rejects a token %s', async (_what, members, [reason, message]) => {
    server.tokens.set('opaque', valid(members))
    const verify = introspection().verifier({
      ...rules,
      expiry: 'required',
      subject: 'required',
      maxLifetimeSeconds: 100,
      expiryLeewaySeconds: 0,
    })
    expect(await outcome(verify('opaque'))).toEqual([undefined, reason, message, undefined])
  })

  it('asks once for all rules, and again for a fresh answer', async () => {
    server.tokens.set('opaque', valid())
    const all = introspection()
    const [verify, elsewhere] = [all.verifier(rules), all.verifier({ ...rules, audience: 'another' })]
    expect(await outcome(verify('opaque'))).toBe('accepted')
    expect(await outcome(elsewhere('opaque'))).toContain('audience_mismatch')
    expect(server.asked).toEqual(['opaque'])
    server.tokens.delete('opaque')
    expect(await outcome(verify('opaque'))).toBe('accepted')
    expect(await outcome(verify('opaque', { fresh: true }))).toContain('inactive')
    // The fresh answer replaces the cached one.
    expect(await outcome(verify('opaque'))).toContain('inactive')
    expect(server.asked).toEqual(['opaque', 'opaque'])
  })

  it('does not ask about more than 1,000 made-up tokens, of which it regains 100 per second', async () => {
    const verify = introspection().verifier(rules)
    server.tokens.set('known', valid())
    expect(await outcome(verify('known'))).toBe('accepted')
    const made = (from: number, count: number) =>
      Promise.all(Array.from({ length: count }, (_, index) => outcome(verify(`made-up-${from + index}`))))
    const first = await made(0, 1_010)
    const busy = [
      503,
      'introspection_unavailable',
      'The token cannot be checked: the introspection endpoint is not available. Retry later.',
      '1',
    ]
    expect(first.filter((result) => String(result) === String(busy))).toHaveLength(10)
    expect(server.asked).toHaveLength(1_001)
    // Of one that was active, also after its answer has become too old.
    clock.advance(9)
    expect(await outcome(verify('known', { fresh: true }))).toBe('accepted')
    expect(await outcome(verify('another'))).toEqual(busy)
    clock.advance(1_000)
    expect((await made(2_000, 110)).filter((result) => String(result) === String(busy))).toHaveLength(10)
  })

  it('has its permits for tokens that are active, however many there are', async () => {
    const verify = introspection().verifier(rules)
    for (let batch = 0; batch < 3; batch += 1) {
      const names = Array.from({ length: 900 }, (_, index) => `active-${batch}-${index}`)
      for (const name of names) server.tokens.set(name, valid())
      expect(new Set(await Promise.all(names.map((name) => outcome(verify(name)))))).toEqual(
        new Set(['accepted']),
      )
    }
  })
})
