import { ManualClock } from '@hallpass/service-kit/testing'
import { describe, expect, it } from '@jest/globals'
import { RevokedTokens } from './revoked-tokens.ts'

describe('RevokedTokens', () => {
  it('rejects a revoked token for as long as it would be accepted', () => {
    const clock = new ManualClock()
    const revoked = new RevokedTokens(clock.now, 5, 1)
    const exp = clock.now() / 1000 + 60
    expect(revoked.revoke({ jti: 'a', exp })).toBe(true)
    expect(() => revoked.refuse({ jti: 'a' })).toThrow(
      expect.objectContaining({ name: 'JsonWebTokenError', reason: 'revoked', message: 'jwt revoked' }),
    )
    revoked.refuse({ jti: 'b' })
    expect(revoked.revoke({ jti: 'b', exp })).toBe(false)
    clock.advance(64_999)
    expect(() => revoked.refuse({ jti: 'a' })).toThrow('jwt revoked')
    expect(revoked.revoke({ jti: 'b', exp })).toBe(false)
    clock.advance(1)
    expect(revoked.revoke({ jti: 'b', exp: exp + 60 })).toBe(true)
  })
})
