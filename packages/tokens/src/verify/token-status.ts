import { check, notApplicable } from '../rule-set/index.ts'
import { STATUS } from '../status-list/index.ts'
import type { TokenVerification } from './token-verification.ts'

/**
 * Requires that the issuer has neither revoked nor suspended the token, if the rules have status lists. It runs last, because it may
 * have to load a list: only a token that is valid otherwise can cause that.
 */
export const status = check('token status', 'Token Status List §8.3', (verification: TokenVerification) => {
  const { statusList } = verification.rules
  if (!statusList) return notApplicable
  const reference = referenceIn(verification)
  if (!reference) {
    if (statusList.required) throw verification.fail('status_missing', 'jwt status required')
    return notApplicable
  }
  const { uri, idx } = reference
  if (!statusList.allows(uri))
    throw verification.fail(
      'status_invalid',
      'invalid jwt status',
      'the URI is not one of the issuer’s lists',
    )
  const unavailable = (cause: unknown): typeof notApplicable => {
    if (statusList.whenUnavailable === 'accept') return notApplicable
    throw verification.fail(
      'status_unavailable',
      'jwt status unavailable',
      shortened((cause as Error)?.message),
    )
  }
  const found = statusList.statusOf(uri, idx)
  if (!(found instanceof Promise)) return judge(verification, found)
  return found.then((value) => judge(verification, value), unavailable)
})

function judge(verification: TokenVerification, found: number | undefined): undefined {
  if (found === STATUS.valid) return
  if (found === STATUS.revoked) throw verification.fail('revoked', 'jwt revoked')
  if (found === STATUS.suspended) throw verification.fail('suspended', 'jwt suspended')
  throw verification.fail(
    'status_invalid',
    'invalid jwt status',
    found === undefined ? 'the list has no such index' : `status ${found}`,
  )
}

/** Returns the reference to a status list (Token Status List §6.1); undefined if the token has none. */
function referenceIn(
  verification: TokenVerification,
): { readonly uri: string; readonly idx: number } | undefined {
  const claim = verification.claims.status
  if (claim === undefined) return undefined
  const reference = isObject(claim) ? claim.status_list : undefined
  // Another mechanism than a status list (Token Status List §6.1) is a status that this verifier does not know.
  const { uri, idx } = isObject(reference) ? reference : {}
  if (typeof uri !== 'string' || !Number.isSafeInteger(idx) || (idx as number) < 0)
    throw verification.fail('status_invalid', 'invalid jwt status', 'no reference to a status list')
  return { uri, idx: idx as number }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** The message of a failed load can quote what a server sent. */
const shortened = (message = 'unknown') => message.slice(0, 200)
