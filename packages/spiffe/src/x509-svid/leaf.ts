import { type Certificate, EXTENDED_KEY_USAGE, uriNames } from '@hallpass/x509'
import { SpiffeId, SpiffeIdError } from '../spiffe-id/index.ts'
import { X509SvidError, type X509SvidErrorCode } from './errors.ts'

/** A rule that a leaf violates: the error code and message. */
export type Violation = readonly [code: X509SvidErrorCode, message: string]

/**
 * Reads the SPIFFE ID of a leaf, its only URI name (X509-SVID §2).
 *
 * @throws X509SvidError, with `context` as prefix of the message
 */
export function readLeafId(leaf: Certificate, context: string): SpiffeId {
  const uris = uriNames(leaf)
  if (uris.length === 0) throw new X509SvidError('no_uri_name', `${context}: certificate contains no URI SAN`)
  if (uris.length > 1)
    throw new X509SvidError('several_uri_names', `${context}: certificate contains more than one URI SAN`)
  try {
    return SpiffeId.parse(uris[0] as string)
  } catch (error) {
    if (!(error instanceof SpiffeIdError)) throw error
    throw new X509SvidError(error.code, `${context}: ${error.message}`, { cause: error })
  }
}

/** Returns the first rule that a leaf violates (X509-SVID §4, §5.2), with the message of other libraries. */
export function leafViolation(leaf: Certificate, id: SpiffeId, words: 'peer' | 'own'): Violation | undefined {
  const said = (peer: string, own: string) => (words === 'peer' ? peer : own)
  if (words === 'own' && id.path === '')
    return ['root_path', 'leaf certificate SPIFFE ID must have a non-root path']
  if (leaf.isCa)
    return [
      'leaf_is_ca',
      said('leaf certificate with CA flag set to true', 'leaf certificate must not have CA flag set to true'),
    ]
  const usages = leaf.keyUsages
  if (words === 'own' && !usages?.has('digitalSignature'))
    return ['leaf_does_not_sign', "leaf certificate must have 'digitalSignature' set as key usage"]
  if (usages?.has('keyCertSign'))
    return [
      'leaf_signs_certificates',
      said(
        'leaf certificate with KeyCertSign key usage',
        "leaf certificate must not have 'keyCertSign' set as key usage",
      ),
    ]
  if (usages?.has('cRLSign'))
    return [
      'leaf_signs_crls',
      said(
        'leaf certificate with KeyCrlSign key usage',
        "leaf certificate must not have 'cRLSign' set as key usage",
      ),
    ]
  // The standard also requires what follows, but other libraries do not check it.
  if (id.path === '') return ['root_path', 'leaf certificate SPIFFE ID must have a non-root path']
  if (!usages || !leaf.keyUsageIsCritical)
    return ['key_usage_missing', 'leaf certificate without a critical key usage']
  if (!usages.has('digitalSignature'))
    return ['leaf_does_not_sign', 'leaf certificate without digitalSignature key usage']
  if (leaf.subjectIsEmpty && !leaf.namesAreCritical)
    return ['name_not_critical', 'leaf certificate with an empty subject and a URI SAN that is not critical']
  const extended = leaf.extendedKeyUsages
  if (extended && !extended.includes(EXTENDED_KEY_USAGE.any))
    if (
      !extended.includes(EXTENDED_KEY_USAGE.serverAuth) ||
      !extended.includes(EXTENDED_KEY_USAGE.clientAuth)
    )
      return [
        'extended_key_usage',
        'leaf certificate without both serverAuth and clientAuth extended key usage',
      ]
  return undefined
}
