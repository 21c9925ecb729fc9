import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto as never)

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 24 * 60 * 60 * 1000
/** Clocks of one machine's containers differ by less than a minute. */
const BACKDATE_MS = 60_000

/** A certificate with its private key, both as PEM. */
export interface CertifiedKey {
  readonly certificate: string
  readonly privateKey: string
}

export interface LeafRequest {
  readonly dnsNames: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly days: number
  readonly now?: number
}

/** Makes a self-signed root for a developer's machine: ECDSA P-256, able to sign leaves and nothing else. */
export async function createAuthority(
  commonName: string,
  { days, now = Date.now() }: { days: number; now?: number },
): Promise<CertifiedKey> {
  const keys = await generateKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${commonName}, O=Hallpass`,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + days * DAY_MS),
    keys,
    signingAlgorithm: P256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pem(certificate), privateKey: await privateKeyPem(keys.privateKey) }
}

/** Signs a TLS server certificate; the names stand in the subject alternative name, where clients look (RFC 9525 §2). */
export async function issueLeaf(
  authority: CertifiedKey,
  { dnsNames, ipAddresses = [], days, now = Date.now() }: LeafRequest,
): Promise<CertifiedKey> {
  const keys = await generateKeys()
  const issuer = new x509.X509Certificate(authority.certificate)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${dnsNames[0] ?? ipAddresses[0] ?? 'leaf'}, O=Hallpass`,
    issuer: issuer.subject,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + days * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: await importSigningKey(authority.privateKey),
    signingAlgorithm: P256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([
        ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...ipAddresses.map((value) => ({ type: 'ip' as const, value })),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { certificate: pem(certificate), privateKey: await privateKeyPem(keys.privateKey) }
}

const generateKeys = () =>
  webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>

/** RFC 5280 §4.1.2.2: positive, at most 20 octets; 16 random ones are unique without a register. */
const serialNumber = () => `00${randomBytes(16).toString('hex')}`

const pem = (certificate: x509.X509Certificate) => `${certificate.toString('pem').trim()}\n`

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

const importSigningKey = (pemText: string) =>
  webcrypto.subtle.importKey(
    'pkcs8',
    createPrivateKey(pemText).export({ type: 'pkcs8', format: 'der' }),
    P256,
    false,
    ['sign'],
  ) as Promise<webcrypto.CryptoKey>
