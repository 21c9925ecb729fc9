import { HASH, SIGNATURE } from './oids.ts'
import { brokenConstraint, type Certificate } from './read/index.ts'

/** Longer paths do not occur in practice. Both limits keep an attacker from causing many signature checks. */
const MAX_PATH_LENGTH = 8
const MAX_SIGNATURE_CHECKS = 100

/** The accepted signature algorithms. SHA-1 and MD5 are missing because their signatures can be forged. */
const SIGNATURE_ALGORITHMS: ReadonlySet<string> = new Set([
  SIGNATURE.rsaWithSha256,
  SIGNATURE.rsaWithSha384,
  SIGNATURE.rsaWithSha512,
  `${SIGNATURE.rsaPss} ${HASH.sha256}`,
  `${SIGNATURE.rsaPss} ${HASH.sha384}`,
  `${SIGNATURE.rsaPss} ${HASH.sha512}`,
  SIGNATURE.ecdsaWithSha256,
  SIGNATURE.ecdsaWithSha384,
  SIGNATURE.ecdsaWithSha512,
  SIGNATURE.ed25519,
])

export type PathErrorCode = 'expired' | 'not_yet_valid' | 'unknown_authority' | 'unknown_critical_extension'

/** Reports a certificate without a valid path to an anchor; `code` is stable. */
export class PathError extends Error {
  readonly code: PathErrorCode

  constructor(code: PathErrorCode, message: string, options?: ErrorOptions) {
    super(`x509: ${message}`, options)
    this.name = 'PathError'
    this.code = code
  }
}

/** Prints a time as RFC 3339 in seconds, like other libraries. */
const print = (time: number) => new Date(time).toISOString().replace('.000', '')

function checkValidity(certificate: Certificate, now: number): void {
  const prefix = 'certificate has expired or is not yet valid: current time'
  if (now < certificate.notBefore)
    throw new PathError('not_yet_valid', `${prefix} ${print(now)} is before ${print(certificate.notBefore)}`)
  // notAfter is inclusive: the whole second is valid (RFC 5280 §4.1.2.5).
  if (now >= certificate.notAfter + 1000)
    throw new PathError('expired', `${prefix} ${print(now)} is after ${print(certificate.notAfter)}`)
}

/**
 * Finds a path from a leaf to one of the anchors (RFC 5280 §6.1). Checks for every certificate the validity period, critical
 * extensions and signature, and for every issuer the CA flag, key usage, path length and name constraints. An anchor need
 * not be self-signed.
 *
 * @returns the path, leaf first, anchor last
 * @throws PathError
 */
export function findPath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  now: number,
): readonly Certificate[] {
  checkUsable(leaf, now)
  let checksLeft = MAX_SIGNATURE_CHECKS
  let why: unknown

  function extend(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const last = path.at(-1) as Certificate
    const candidates = [
      ...anchors.map((issuer) => ({ issuer, isAnchor: true })),
      ...intermediates.map((issuer) => ({ issuer, isAnchor: false })),
    ]
    for (const { issuer, isAnchor } of candidates) {
      if (!issuer.subject.equals(last.issuer) || path.some(({ raw }) => raw.equals(issuer.raw))) continue
      try {
        checkIssuer(issuer, path, now)
      } catch (error) {
        why = error
        continue
      }
      if (checksLeft-- <= 0) return undefined
      if (!SIGNATURE_ALGORITHMS.has(last.signatureAlgorithm) || !last.x509.verify(issuer.publicKey)) continue
      if (isAnchor) return [...path, issuer]
      const found = path.length < MAX_PATH_LENGTH ? extend([...path, issuer]) : undefined
      if (found) return found
    }
    return undefined
  }

  const path = extend([leaf])
  if (!path)
    throw new PathError('unknown_authority', 'certificate signed by unknown authority', { cause: why })
  return path
}

function checkUsable(certificate: Certificate, now: number): void {
  checkValidity(certificate, now)
  if (certificate.unknownCritical.length > 0)
    throw new PathError(
      'unknown_critical_extension',
      `unhandled critical extension ${certificate.unknownCritical.join(', ')}`,
    )
}

/** Checks that a certificate can be the issuer of the last one in the path; throws the reason if not. */
function checkIssuer(issuer: Certificate, path: readonly Certificate[], now: number): void {
  checkUsable(issuer, now)
  if (!issuer.isCa) throw new Error('the issuer is not a CA')
  if (issuer.keyUsages && !issuer.keyUsages.has('keyCertSign'))
    throw new Error('the issuer is not allowed to sign certificates')
  // Self-issued intermediates do not count (RFC 5280 §4.2.1.9).
  const below = path.slice(1).filter(({ subject, issuer: by }) => !subject.equals(by)).length
  if (issuer.maxPathLength !== undefined && below > issuer.maxPathLength)
    throw new Error('the path is longer than the issuer allows')
  if (!issuer.nameConstraints) return
  for (const certificate of path) {
    const broken = brokenConstraint(certificate, issuer.nameConstraints)
    if (broken) throw new Error(broken)
  }
}
