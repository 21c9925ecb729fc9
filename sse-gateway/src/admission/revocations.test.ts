import { ManualClock } from '@hallpass/service-kit/testing'
import { beforeEach, describe, expect, it } from '@jest/globals'
import type { Grant } from './grant.ts'
import { type Revocation, Revocations } from './revocations.ts'

const clock = new ManualClock()
const KEEP_MS = 60_000
let revocations: Revocations
let told: Revocation[]
beforeEach(() => {
  revocations = new Revocations({ clock: clock.now })
  told = []
  revocations.onRevoked((revocation) => told.push(revocation))
})

const grant = (changes: Partial<Grant> = {}): Grant => ({
  issuer: 'https://auth.example.com',
  subject: 'alice',
  expiresAt: clock.now() + 30_000,
  roles: [],
  jti: 'token-1',
  session: 'login-1',
  tokenId: 'token-1',
  issuedAt: clock.now(),
  signer: undefined,
  verifiedAt: clock.now(),
  ...changes,
})

const revoke = (kind: Revocation['kind'], value: string, issuer?: string) =>
  revocations.add({ kind, value, issuer, revokedAt: clock.now(), endsAt: clock.now() + KEEP_MS })

describe('revocations', () => {
  it('cover their token, subject or session', () => {
    for (const [kind, value] of [
      ['jti', 'token-1'],
      ['sub', 'alice'],
      ['session', 'login-1'],
    ] as const) {
      revocations = new Revocations({ clock: clock.now })
      expect(revocations.cover(grant())).toBe(false)
      revoke(kind, value)
      expect(revocations.cover(grant())).toBe(true)
      expect(revocations.cover(grant({ jti: 'x', subject: 'x', session: 'x' }))).toBe(false)
    }
  })

  it('cover only their issuer, if they have one', () => {
    revoke('sub', 'alice', 'https://auth.example.com')
    expect(revocations.cover(grant())).toBe(true)
    expect(revocations.cover(grant({ issuer: 'https://other.example.com' }))).toBe(false)
  })

  it('accept a revoked subject’s later tokens, but not tokens without iat', () => {
    revoke('sub', 'alice')
    clock.advance(1_000)
    expect(revocations.cover(grant())).toBe(false)
    expect(revocations.cover(grant({ issuedAt: undefined }))).toBe(true)
  })

  it('never accept a revoked token again', () => {
    revoke('jti', 'token-1')
    clock.advance(1_000)
    expect(revocations.cover(grant())).toBe(true)
  })

  it('are deleted when every token that they cover has expired', () => {
    revoke('jti', 'token-1')
    clock.advance(KEEP_MS + 1)
    revoke('jti', 'token-2')
    expect(revocations.size).toBe(1)
  })

  it('never end earlier because the same tokens are revoked again', () => {
    const revokedAt = clock.now()
    const never = { kind: 'jti', value: 'token-1', revokedAt, endsAt: Number.POSITIVE_INFINITY } as const
    revocations.add(never)
    expect(revocations.add({ ...never, revokedAt: revokedAt + 1, endsAt: revokedAt + 2 })).toEqual({
      ...never,
      revokedAt: revokedAt + 1,
    })
    clock.advance(10 * KEEP_MS)
    expect([revocations.current.length, revocations.cover(grant())]).toEqual([1, true])
  })

  it('are not dropped when the list is full, and those of other gateways are taken', () => {
    revocations = new Revocations({ clock: clock.now, max: 1 })
    revocations.onRevoked((revocation) => told.push(revocation))
    revoke('jti', 'token-1')
    expect(() => revoke('jti', 'token-2')).toThrow(
      expect.objectContaining({
        status: 503,
        code: 'too_many_revocations',
        message: 'The list of revocations is full. Revoke a subject or a session instead of single tokens.',
      }),
    )
    expect(told.map(({ value }) => value)).toEqual(['token-1', 'token-2'])
    revoke('jti', 'token-1')
    revocations.take({ kind: 'sub', value: 'bob', revokedAt: clock.now(), endsAt: clock.now() + KEEP_MS })
    expect(revocations.current.map(({ value }) => value)).toEqual(['token-1', 'bob'])
  })

  it('are reported to listeners once, even if they are repeated', () => {
    revoke('sub', 'alice')
    revoke('sub', 'alice')
    expect(told).toHaveLength(1)
    clock.advance(5)
    revoke('sub', 'alice')
    expect(told).toHaveLength(2)
  })
})
