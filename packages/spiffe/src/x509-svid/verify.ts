import { type Certificate, findPath, PathError, parseCertificate } from '@hallpass/x509'
import { type Clock, systemClock } from '../clock.ts'
import type { SpiffeId } from '../spiffe-id/index.ts'
import { X509BundleError, type X509BundleSource } from '../x509-bundle/index.ts'
import { X509SvidError } from './errors.ts'
import { leafViolation, readLeafId } from './leaf.ts'

/** A peer whose X.509-SVID has been verified. */
export interface VerifiedPeer {
  readonly id: SpiffeId
  /** From the leaf to an authority of its trust domain. */
  readonly path: readonly Certificate[]
}

export interface VerifyOptions {
  readonly clock?: Clock
}

/**
 * Verifies the certificates that a peer presented, leaf first, as an X.509-SVID (X509-SVID §5): the leaf's contents, then a
 * path to the bundle of the leaf's own trust domain. The host name is ignored.
 *
 * @param certificates one DER buffer per certificate
 * @throws X509SvidError
 */
export function verifyX509Svid(
  certificates: readonly Uint8Array[],
  bundles: X509BundleSource,
  { clock = systemClock }: VerifyOptions = {},
): VerifiedPeer {
  const [leaf, ...intermediates] = certificates.map(parse)
  if (!leaf) throw new X509SvidError('no_certificates', 'empty certificates chain')
  const id = readLeafId(leaf, 'could not get leaf SPIFFE ID')
  const violation = leafViolation(leaf, id, 'peer')
  if (violation) throw new X509SvidError(...violation)
  return { id, path: findPathOf(leaf, intermediates, id, bundles, clock()) }
}

function findPathOf(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  id: SpiffeId,
  bundles: X509BundleSource,
  now: number,
): readonly Certificate[] {
  let anchors: readonly Certificate[]
  try {
    anchors = bundles.getX509Bundle(id.trustDomain).authorities
  } catch (cause) {
    const known = cause instanceof X509BundleError || (cause as { code?: string }).code !== undefined
    if (!known) throw cause
    throw new X509SvidError('bundle_missing', `could not get X509 bundle: ${(cause as Error).message}`, {
      cause,
    })
  }
  try {
    return findPath(leaf, intermediates, anchors, now)
  } catch (cause) {
    if (!(cause instanceof PathError)) throw cause
    throw new X509SvidError(cause.code, `could not verify leaf certificate: ${cause.message}`, { cause })
  }
}

function parse(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der)
  } catch (cause) {
    throw new X509SvidError(
      'malformed_certificate',
      `unable to parse certificate: ${(cause as Error).message}`,
      {
        cause,
      },
    )
  }
}
