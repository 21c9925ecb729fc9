import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import { generateSigningKey } from '@hallpass/tokens'
import type { Authority } from './authority-cycle.ts'
import {
  authorityName,
  type Issuer,
  writeAuthorityCertificate,
  writeWorkloadCertificate,
} from './certificate.ts'

/** A self-signed root that signs X.509-SVIDs. */
export interface CertificateAuthority extends Authority {
  /** DER, as in the bundle. */
  readonly certificate: Buffer
  readonly issuer: Issuer
}

/** An X.509-SVID with its private key, as sent to a workload. */
export interface IssuedX509Svid {
  readonly spiffeId: string
  /** The leaf as DER; its root is in the bundle. */
  readonly certificate: Buffer
  /** Unencrypted PKCS#8, DER. */
  readonly privateKey: Buffer
  readonly notBefore: number
  readonly notAfter: number
  readonly authorityId: string
}

export interface X509SvidRequest {
  readonly spiffeId: string
  readonly dnsNames: readonly string[]
  readonly lifetimeMs: number
  readonly now: number
}

/** Tolerates slow clocks: those of one machine's containers differ by less. SPIRE uses the same value. */
const BACKDATE_MS = 10_000

export async function makeCertificateAuthority(
  trustDomain: string,
  lifetimeMs: number,
  now: number,
): Promise<CertificateAuthority> {
  const id = randomBytes(16).toString('hex')
  const { publicKey, privateKey } = await generateSigningKey('ES256')
  const validity = { notBefore: now - BACKDATE_MS, notAfter: now + lifetimeMs }
  const issuer = { name: authorityName(id), publicKey, privateKey }
  const certificate = writeAuthorityCertificate(trustDomain, issuer, validity)
  return { id, certificate, issuer, ...validity }
}

/** Issues an X.509-SVID with a new P-256 key; it never outlives its authority. */
export async function issueX509Svid(
  authority: CertificateAuthority,
  { spiffeId, dnsNames, lifetimeMs, now }: X509SvidRequest,
): Promise<IssuedX509Svid> {
  const { publicKey, privateKey } = await generateSigningKey('ES256')
  const notBefore = now - BACKDATE_MS
  const notAfter = Math.min(now + lifetimeMs, authority.notAfter)
  return {
    spiffeId,
    certificate: writeWorkloadCertificate(
      { spiffeId, dnsNames, publicKey, notBefore, notAfter },
      authority.issuer,
    ),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
    notBefore,
    notAfter,
    authorityId: authority.id,
  }
}

/** An authority with its private key, as stored in the state file. */
export interface StoredCertificateAuthority {
  readonly id: string
  readonly certificate: string
  readonly privateKey: string
}

export const storeCertificateAuthority = ({
  id,
  certificate,
  issuer,
}: CertificateAuthority): StoredCertificateAuthority => ({
  id,
  certificate: new X509Certificate(certificate).toString(),
  privateKey: issuer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
})

/** @throws if the strings are not a certificate and its key. */
export function restoreCertificateAuthority({
  id,
  certificate,
  privateKey,
}: StoredCertificateAuthority): CertificateAuthority {
  const parsed = new X509Certificate(certificate)
  const key: KeyObject = createPrivateKey(privateKey)
  if (!parsed.checkPrivateKey(key))
    throw new Error(`the key of the X.509 authority ${id} does not match its certificate`)
  return {
    id,
    certificate: parsed.raw,
    issuer: { name: authorityName(id), publicKey: createPublicKey(key), privateKey: key },
    notBefore: Date.parse(parsed.validFrom),
    notAfter: Date.parse(parsed.validTo),
  }
}
