import 'reflect-metadata'
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  webcrypto,
} from 'node:crypto'
import { parseCertificate } from '@hallpass/x509'
import * as x509 from '@peculiar/x509'
import { JwtBundle } from '../jwt-bundle/bundle.ts'
import { TrustDomain } from '../spiffe-id/trust-domain.ts'
import { X509Bundle } from '../x509-bundle/bundle.ts'
import { X509Svid } from '../x509-svid/svid.ts'

x509.cryptoProvider.set(webcrypto as never)

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const HOUR_MS = 3_600_000
const BACKDATE_MS = 10_000

/** How a certificate differs from a valid one, for certificates that must be rejected. */
export interface CertificateShape {
  uris?: readonly string[]
  dnsNames?: readonly string[]
  isCa?: boolean
  pathLength?: number
  keyUsages?: number | undefined
  keyUsageIsCritical?: boolean
  extendedKeyUsages?: readonly string[] | undefined
  subject?: string
  namesAreCritical?: boolean
  notBefore?: number
  notAfter?: number
  extensions?: readonly x509.Extension[]
}

interface Certified {
  readonly certificate: x509.X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
}

const { digitalSignature, keyEncipherment, keyAgreement, keyCertSign, cRLSign } = x509.KeyUsageFlags

/** The bits of keyUsage. */
export const keyUsageBits = { digitalSignature, keyEncipherment, keyAgreement, keyCertSign, cRLSign }

/** Makes a custom extension. */
export const rawExtension = (oid: string, critical: boolean, value: Uint8Array): x509.Extension =>
  new x509.Extension(oid, critical, value as Uint8Array<ArrayBuffer>)

const newKeys = () =>
  webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>

async function issue(
  shape: CertificateShape & { subject: string; notBefore: number; notAfter: number },
  issuer: Certified | undefined,
  keys: webcrypto.CryptoKeyPair,
): Promise<x509.X509Certificate> {
  const names = [
    ...(shape.uris ?? []).map((value) => ({ type: 'url' as const, value })),
    ...(shape.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
  ]
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(shape.isCa ?? false, shape.pathLength, true),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
  ]
  if (shape.keyUsages !== undefined)
    extensions.push(new x509.KeyUsagesExtension(shape.keyUsages, shape.keyUsageIsCritical ?? true))
  if (shape.extendedKeyUsages)
    extensions.push(new x509.ExtendedKeyUsageExtension([...shape.extendedKeyUsages]))
  if (names.length > 0)
    extensions.push(
      new x509.SubjectAlternativeNameExtension(names, shape.namesAreCritical ?? shape.subject === ''),
    )
  if (issuer) extensions.push(await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey))
  return x509.X509CertificateGenerator.create({
    serialNumber: `00${randomBytes(16).toString('hex')}`,
    subject: shape.subject,
    issuer: issuer?.certificate.subject ?? shape.subject,
    notBefore: new Date(shape.notBefore),
    notAfter: new Date(shape.notAfter),
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: P256,
    extensions: [...extensions, ...(shape.extensions ?? [])],
  })
}

const der = (certificate: x509.X509Certificate) => Buffer.from(certificate.rawData)

/** A test certificate with its chain and key. */
export interface IssuedSvid {
  /** One DER buffer per certificate, leaf first. */
  readonly chain: readonly Buffer[]
  /** PKCS#8. */
  readonly privateKey: Buffer
  readonly privateKeyPem: string
  /** The leaf and its intermediates as PEM. */
  readonly pem: string
}

/** A test certificate authority with real keys; issues valid and, on request, invalid certificates. */
export class TestAuthority {
  readonly #self: Certified
  readonly #above: readonly Buffer[]
  readonly #now: () => number
  readonly der: Buffer

  private constructor(self: Certified, above: readonly Buffer[], now: () => number) {
    this.#self = self
    this.#above = above
    this.#now = now
    this.der = der(self.certificate)
  }

  static async root(
    trustDomain: string,
    now: () => number = Date.now,
    shape: CertificateShape = {},
  ): Promise<TestAuthority> {
    const keys = await newKeys()
    const certificate = await issue(TestAuthority.#caShape(trustDomain, now, shape), undefined, keys)
    return new TestAuthority({ certificate, keys }, [], now)
  }

  /** Makes an intermediate; the chains that it issues include its certificate. */
  async intermediate(trustDomain: string, shape: CertificateShape = {}): Promise<TestAuthority> {
    const keys = await newKeys()
    const certificate = await issue(TestAuthority.#caShape(trustDomain, this.#now, shape), this.#self, keys)
    return new TestAuthority({ certificate, keys }, [der(certificate), ...this.#above], this.#now)
  }

  static #caShape(trustDomain: string, now: () => number, shape: CertificateShape) {
    return {
      subject: `CN=${randomBytes(4).toString('hex')}, O=SPIFFE, C=US`,
      uris: [`spiffe://${trustDomain}`],
      isCa: true,
      keyUsages: keyCertSign | cRLSign,
      notBefore: now() - BACKDATE_MS,
      notAfter: now() + 24 * HOUR_MS,
      ...shape,
    }
  }

  /** Issues an X.509-SVID like SPIRE's, with the changes in `shape`. */
  async issue(id: string, shape: CertificateShape = {}): Promise<IssuedSvid> {
    const keys = await newKeys()
    const leaf = await issue(
      {
        subject: 'O=SPIRE, C=US',
        uris: [id],
        keyUsages: digitalSignature | keyEncipherment | keyAgreement,
        extendedKeyUsages: [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth],
        notBefore: this.#now() - BACKDATE_MS,
        notAfter: this.#now() + HOUR_MS,
        ...shape,
      },
      this.#self,
      keys,
    )
    const privateKey = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
    const chain = [der(leaf), ...this.#above]
    return {
      chain,
      privateKey,
      privateKeyPem: createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' })
        .export({ format: 'pem', type: 'pkcs8' })
        .toString(),
      pem: chain.map((raw) => `${new x509.X509Certificate(raw).toString('pem')}\n`).join(''),
    }
  }
}

/** A test key that signs JWT-SVIDs. */
export interface TestJwtKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

export function createJwtKey(kid: string, alg = 'ES256'): TestJwtKey {
  const curve = CURVES[alg]
  const pair =
    curve !== undefined
      ? generateKeyPairSync('ec', { namedCurve: curve })
      : alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { kid, alg, ...pair }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Signs any claims, valid or invalid. */
export function signJwt(
  claims: Readonly<Record<string, unknown>>,
  key: TestJwtKey,
  header: Readonly<Record<string, unknown>> = {},
): string {
  const input = `${encode({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })}.${encode(claims)}`
  const hash = key.alg === 'EdDSA' ? null : `sha${key.alg.slice(-3)}`
  const options = key.alg.startsWith('PS')
    ? { padding: 6, saltLength: -1 }
    : key.alg.startsWith('ES')
      ? { dsaEncoding: 'ieee-p1363' as const }
      : {}
  const signature = sign(hash, Buffer.from(input), { key: key.privateKey, ...options })
  return `${input}.${signature.toString('base64url')}`
}

export const jwks = (keys: readonly TestJwtKey[], members: Readonly<Record<string, unknown>> = {}) => ({
  keys: keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, ...members })),
})

/** A test trust domain with an authority for each kind of SVID. */
export class TestTrustDomain {
  readonly trustDomain: TrustDomain
  readonly authority: TestAuthority
  readonly jwtKey: TestJwtKey
  readonly #now: () => number

  private constructor(trustDomain: TrustDomain, authority: TestAuthority, now: () => number) {
    this.trustDomain = trustDomain
    this.authority = authority
    this.jwtKey = createJwtKey('authority-1')
    this.#now = now
  }

  static async create(name: string, now: () => number = Date.now): Promise<TestTrustDomain> {
    return new TestTrustDomain(TrustDomain.ofName(name), await TestAuthority.root(name, now), now)
  }

  id(path: string): string {
    return `${this.trustDomain.id}${path}`
  }

  get x509Bundle(): X509Bundle {
    return new X509Bundle(this.trustDomain, [parseCertificate(this.authority.der)])
  }

  get jwtBundle(): JwtBundle {
    return JwtBundle.ofJwks(this.trustDomain, jwks([this.jwtKey]))
  }

  async x509Svid(path: string, shape?: CertificateShape): Promise<X509Svid> {
    const issued = await this.authority.issue(this.id(path), shape)
    return X509Svid.ofDer(Buffer.concat(issued.chain), issued.privateKey)
  }

  /** Signs a token that is valid for five minutes, with the given claims; undefined omits a claim. */
  jwtSvid(
    path: string,
    audience: string | readonly string[],
    claims: Readonly<Record<string, unknown>> = {},
  ): string {
    const seconds = Math.floor(this.#now() / 1000)
    return signJwt(
      { sub: this.id(path), aud: audience, iat: seconds, exp: seconds + 300, ...claims },
      this.jwtKey,
    )
  }
}
