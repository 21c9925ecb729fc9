import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import {
  authorityKeyIdentifier,
  basicConstraints,
  type CertificateIssuer,
  EXTENDED_KEY_USAGE,
  extendedKeyUsage,
  keyIdentifierOf,
  keyUsage,
  parsePemCertificates,
  subjectAltName,
  subjectKeyIdentifier,
  toPem,
  writeCertificate,
  writeName,
} from '@hallpass/x509'

const DAY_MS = 24 * 60 * 60 * 1000
/** Tolerates slow clocks: those of one machine's containers differ by less than a minute. */
const BACKDATE_MS = 60_000

/** A certificate with its private key, both as PEM. */
export interface CertifiedKey {
  readonly certificate: string
  readonly privateKey: string
}

export interface LeafRequest {
  readonly dnsNames: readonly string[]
  /** Each as 4 or 16 octets. */
  readonly ipAddresses: readonly Uint8Array[]
  readonly days: number
  readonly now?: number
}

const newKeys = () => promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
const subject = (commonName: string) => writeName(['commonName', commonName], ['organization', 'Hallpass'])
const validity = (days: number, now: number) => ({
  notBefore: now - BACKDATE_MS,
  notAfter: now + days * DAY_MS,
})

/** Creates a self-signed root for a developer's machine: ECDSA P-256, allowed to sign only leaf certificates. */
export async function createAuthority(
  commonName: string,
  { days, now = Date.now() }: { days: number; now?: number },
): Promise<CertifiedKey> {
  const { publicKey, privateKey } = await newKeys()
  const name = subject(commonName)
  const extensions = [
    basicConstraints({ pathLength: 0 }),
    keyUsage('keyCertSign', 'cRLSign'),
    subjectKeyIdentifier(keyIdentifierOf(publicKey)),
  ]
  const content = { ...validity(days, now), subject: name, publicKey, extensions }
  return certifiedKey(writeCertificate(content, { name, privateKey }), privateKey)
}

/**
 * Issues a TLS certificate with the names in the subject alternative name, where clients look for them (RFC 9525 §2). The
 * issuer name and key identifier are read from the authority's certificate, because an earlier release may have created it.
 */
export async function issueLeaf(
  authority: CertifiedKey,
  { dnsNames, ipAddresses, days, now = Date.now() }: LeafRequest,
): Promise<CertifiedKey> {
  const { publicKey, privateKey } = await newKeys()
  const [issuing] = parsePemCertificates(authority.certificate)
  if (!issuing) throw new Error('The authority has no certificate.')
  const issuer: CertificateIssuer = {
    name: issuing.subject,
    privateKey: createPrivateKey(authority.privateKey),
  }
  const extensions = [
    basicConstraints(),
    keyUsage('digitalSignature'),
    extendedKeyUsage(EXTENDED_KEY_USAGE.serverAuth, EXTENDED_KEY_USAGE.clientAuth),
    subjectAltName({ dnsNames, ipAddresses }),
    subjectKeyIdentifier(keyIdentifierOf(publicKey)),
    ...(issuing.keyIdentifier ? [authorityKeyIdentifier(issuing.keyIdentifier)] : []),
  ]
  const content = {
    ...validity(days, now),
    subject: subject(dnsNames[0] ?? 'leaf'),
    publicKey,
    extensions,
  }
  return certifiedKey(writeCertificate(content, issuer), privateKey)
}

const certifiedKey = (raw: Buffer, key: KeyObject): CertifiedKey => ({
  certificate: toPem({ raw }),
  privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
})
