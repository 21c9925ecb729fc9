import { ALGORITHMS, algorithmNamed, type SignatureAlgorithm } from '../keys/algorithms.ts'
import { check } from './check.ts'
import type { Verification } from './verification.ts'

/** The header names one of the allowed algorithms. */
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

/** There is a signature, whatever it is worth. */
export const signed = check('signed', 'RFC 8725 §3.2', (verification) => {
  if (isUnsigned(verification)) throw verification.fail('signature_missing', 'jwt signature is required')
})

/** A token of the right form has two dots. */
const isUnsigned = ({ token }: Verification) => token.endsWith('.')

/** No extension is understood, so each one that is critical is too much; and the payload is base64url (RFC 7797 §7). */
export const critical = check('critical', 'RFC 7515 §4.1.11', (verification) => {
  const { crit, b64 } = verification.header
  if (crit !== undefined)
    throw verification.fail('critical_header', 'jwt header has unknown critical parameters')
  if (b64 !== undefined && b64 !== true)
    throw verification.fail('unencoded_payload', 'jwt payload must be encoded')
})
