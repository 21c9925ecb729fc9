import { type CheckDefinition, check, type TokenVerification } from '@hallpass/tokens'
import type { RevokedTokens } from '../state/index.ts'
import type { RingKey } from './key-ring.ts'

/** The checks of the issuer, run after all those of verifyToken: what only the issuer knows of its keys and tokens. */
export const issuerChecks = (revoked: RevokedTokens): readonly CheckDefinition<TokenVerification>[] => [
  withdrawn,
  revocation(revoked),
]

/** Rejects a token whose key was withdrawn, because others may know it. Its signature is valid, and says nothing. */
const withdrawn = check('withdrawn key', 'NIST SP 800-57 §8.3.5', (verification: TokenVerification) => {
  if ((verification.key as Partial<RingKey>).state === 'withdrawn')
    throw verification.fail('key_withdrawn', 'invalid signature', 'the key was withdrawn')
})

/** Rejects a token that was revoked before it expires. */
const revocation = (revoked: RevokedTokens) =>
  check('revocation', 'RFC 7009 §2.2', (verification: TokenVerification) => {
    const isRevoked = revoked.has(verification.claims)
    if (typeof isRevoked !== 'boolean') return isRevoked.then((found) => rejectRevoked(verification, found))
    return rejectRevoked(verification, isRevoked)
  })

function rejectRevoked(verification: TokenVerification, isRevoked: boolean): undefined {
  if (isRevoked) throw verification.fail('revoked', 'jwt revoked')
}
