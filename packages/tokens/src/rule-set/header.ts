import { ALGORITHMS, algorithmNamed, type SignatureAlgorithm } from '../keys/index.ts'
import { check } from './check.ts'
import type { Verification } from './verification.ts'

/** Requires one of the allowed algorithms. */
export const algorithm = check('algorithm', 'RFC 8725 §3.1', (verification) => {
  const { header, rules } = verification
  const alg = algorithmNamed<SignatureAlgorithm>(header.alg, rules.algorithms ?? ALGORITHMS)
  if (!alg)
    throw verification.fail(
      'alg_not_allowed',
      isUnsigned(verification) ? 'jwt signature is required' : 'invalid algorithm',
      String(header.alg).slice(0, 32),
    )
  verification.alg = alg
})

/** Requires a signature; does not verify it. */
export const signed = check('signed', 'RFC 8725 §3.2', (verification) => {
  if (isUnsigned(verification)) throw verification.fail('signature_missing', 'jwt signature is required')
})

/** The form check has run, so a dot at the end means an empty signature. */
const isUnsigned = ({ token }: Verification) => token.endsWith('.')

/** Rejects critical header parameters, because none is supported, and unencoded payloads (RFC 7797 §7). */
export const critical = check('critical', 'RFC 7515 §4.1.11', (verification) => {
  const { crit, b64 } = verification.header
  if (crit !== undefined)
    throw verification.fail('critical_header', 'jwt header has unknown critical parameters')
  if (b64 !== undefined && b64 !== true)
    throw verification.fail('unencoded_payload', 'jwt payload must be encoded')
})
