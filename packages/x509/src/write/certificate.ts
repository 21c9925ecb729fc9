import { type KeyObject, randomBytes, sign } from 'node:crypto'
import * as der from '../der/index.ts'
import { ATTRIBUTE, SIGNATURE } from '../oids.ts'

/** A distinguished name as DER; an issuer name must be byte-identical to the subject of the issuing certificate. */
export type Name = Buffer

export interface CertificateContent {
  readonly subject: Name
  readonly publicKey: KeyObject
  /** Milliseconds since the epoch; truncated to whole seconds. */
  readonly notBefore: number
  readonly notAfter: number
  readonly extensions: readonly Buffer[]
}

export interface CertificateIssuer {
  readonly name: Name
  /** An EC P-256 key. */
  readonly privateKey: KeyObject
}

/** Writes a version 3 certificate (RFC 5280 §4.1), signed with ECDSA and SHA-256; returns its DER. */
export function writeCertificate(content: CertificateContent, issuer: CertificateIssuer): Buffer {
  const algorithm = der.sequence(der.oid(SIGNATURE.ecdsaWithSha256))
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))),
    // Positive, at most 20 octets (§4.1.2.2); 16 random octets are unique without bookkeeping.
    der.integer(randomBytes(16)),
    algorithm,
    issuer.name,
    der.sequence(der.time(content.notBefore), der.time(content.notAfter)),
    content.subject,
    content.publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...content.extensions)),
  )
  return der.sequence(toBeSigned, algorithm, der.bitString(sign('sha256', toBeSigned, issuer.privateKey)))
}

/** Writes a distinguished name with its attributes in this order. */
export function writeName(...attributes: readonly (readonly [keyof typeof ATTRIBUTE, string])[]): Name {
  return der.sequence(
    ...attributes.map(([type, value]) =>
      der.set(
        der.sequence(
          der.oid(ATTRIBUTE[type]),
          // RFC 5280 appendix A.1: these two must be PrintableString.
          type === 'country' || type === 'serialNumber' ? der.printableString(value) : der.utf8String(value),
        ),
      ),
    ),
  )
}
