import type { CompactParts } from '../compact/index.ts'
import { SCHEMES, type VerificationKey, withoutAlias } from '../keys/index.ts'
import { assertSpeaks, nodeCrypto, type TokenLibrary } from '../libraries/index.ts'
import { check } from './check.ts'
import { parseCompact } from './form.ts'
import type { Verification } from './verification.ts'

/** Requires a signature by one of the keys that the rule set found. */
export const signature = check('signature', 'RFC 7515 §5.2', (verification) => {
  const { keys, remembered } = verification
  // Compare the objects: a key that was removed and published again must verify the signature again.
  const known = remembered && keys.find(({ publicKey }) => publicKey === remembered.key.publicKey)
  if (!known) return findSigner(verification, keys, () => findReplacement(verification))
  verification.key = known
})

type Found = undefined | Promise<undefined>

/** @param otherwise is called if none of the keys made the signature. */
function findSigner(
  verification: Verification,
  keys: readonly VerificationKey[],
  otherwise: () => Found,
  from = 0,
): Found {
  const { rules } = verification
  verification.parts ??= parseCompact(verification.token)
  for (let index = from; index < keys.length; index += 1) {
    const key = keys[index] as VerificationKey
    const matches = isSignedBy(verification.parts, key, rules.library)
    if (matches instanceof Promise)
      return matches.then((late) => {
        if (!late) return findSigner(verification, keys, otherwise, index + 1)
        verification.key = key
      })
    if (matches === true) {
      verification.key = key
      return undefined
    }
  }
  return otherwise()
}

function findReplacement(verification: Verification): Found {
  const refuse = () => {
    throw verification.fail('signature_invalid', 'invalid signature')
  }
  const replacements = verification.replacements()
  return replacements !== undefined
    ? replacements.then((keys) => findSigner(verification, keys, refuse))
    : refuse()
}

function isSignedBy(
  parts: CompactParts,
  key: VerificationKey,
  library: TokenLibrary = nodeCrypto,
): boolean | Promise<boolean> {
  if (library !== nodeCrypto) assertSpeaks(library, key.alg)
  if (withoutAlias(parts.header.alg) !== key.alg) return false
  const { signatureBytes } = SCHEMES[key.alg]
  if (signatureBytes !== undefined && parts.signature.length !== signatureBytes) return false
  return library.verify(parts, key)
}

/**
 * Tests only whether a key made the signature, with the key's own algorithm (RFC 8725 §3.1). Most callers need verifyToken
 * instead.
 */
export async function verifySignature(
  parts: CompactParts,
  key: VerificationKey,
  library?: TokenLibrary,
): Promise<boolean> {
  return isSignedBy(parts, key, library)
}
