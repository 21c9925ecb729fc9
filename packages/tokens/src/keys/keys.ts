import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair as generateKeyPairCallback,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import { type Algorithm, SCHEMES, type SignatureAlgorithm, type SignatureScheme } from './algorithms.ts'
import { KeyError } from './key-error.ts'
import { assertKeyFits } from './key-strength.ts'

/** A public key, its key ID, and the only algorithm that it can be used with (RFC 8725 §3.1). */
export interface VerificationKey<A extends SignatureAlgorithm = SignatureAlgorithm> {
  readonly kid: string
  readonly alg: A
  readonly publicKey: KeyObject
}

/** Identifies a public key of an issuer. */
export interface KeyIdentity {
  readonly kid: string
  /** RFC 7638, so that a key that was replaced under its `kid` is another one. */
  readonly thumbprint: string
}

export interface SigningKey<A extends SignatureAlgorithm = Algorithm> extends VerificationKey<A> {
  readonly privateKey: KeyObject
}

/** A key for any supported algorithm. */
export type AnySigningKey = SigningKey<SignatureAlgorithm>

export interface ImportOptions<A extends SignatureAlgorithm = SignatureAlgorithm> {
  readonly alg: A
  /** The key ID; by default the RFC 7638 thumbprint. */
  readonly kid?: string
}

/** 112 bits of security, the minimum of RFC 7518 §3.3; 3072-bit keys sign three times slower. */
const RSA_MODULUS_BITS = 2048

const generateKeyPair = promisify(generateKeyPairCallback)

/**
 * Generates a key pair on the thread pool, because an RSA pair would block the event loop for 50–300 ms.
 * @param kid the key ID; by default the RFC 7638 thumbprint.
 */
export async function generateSigningKey<A extends SignatureAlgorithm>(
  alg: A,
  kid?: string,
): Promise<SigningKey<A>> {
  const { publicKey, privateKey } = await generatePair(alg)
  return { kid: kid ?? thumbprint(publicKey), alg, publicKey, privateKey }
}

function generatePair(alg: SignatureAlgorithm) {
  const { keyType, namedCurve = '' }: SignatureScheme = SCHEMES[alg]
  switch (keyType) {
    case 'rsa':
      return generateKeyPair('rsa', { modulusLength: RSA_MODULUS_BITS })
    case 'ec':
      return generateKeyPair('ec', { namedCurve })
    case 'ed25519':
      return generateKeyPair('ed25519')
  }
}

/**
 * Imports a private key from PKCS#8, PKCS#1 or SEC1 PEM. Import it once: signing with a KeyObject is three times faster than
 * with a PEM string.
 * @throws {KeyError} if it is not a private key, or does not fit the algorithm.
 */
export function importSigningKey<A extends SignatureAlgorithm>(
  pem: string,
  { alg, kid }: ImportOptions<A>,
): SigningKey<A> {
  const privateKey = readPem(pem, createPrivateKey)
  assertKeyFits(privateKey, alg)
  const publicKey = createPublicKey(privateKey)
  return { kid: kid ?? thumbprint(publicKey), alg, publicKey, privateKey }
}

/**
 * Imports a public key from SPKI or PKCS#1 PEM.
 * @throws {KeyError} if it is not a public key, or does not fit the algorithm.
 */
export function importVerificationKey<A extends SignatureAlgorithm>(
  pem: string,
  { alg, kid }: ImportOptions<A>,
): VerificationKey<A> {
  if (pem.includes('PRIVATE KEY'))
    throw new KeyError('private_key', 'A verifier must not hold a private key; give it the public one.')
  const publicKey = readPem(pem, createPublicKey)
  assertKeyFits(publicKey, alg)
  return { kid: kid ?? thumbprint(publicKey), alg, publicKey }
}

function readPem(pem: string, read: (pem: string) => KeyObject): KeyObject {
  try {
    return read(pem)
  } catch (cause) {
    // OpenSSL's message may quote the input, so it is kept only as the cause.
    throw new KeyError('invalid_key', 'The key is not readable as PEM.', { cause })
  }
}

/** Exports the private key as unencrypted PKCS#8: write it with mode 0600. */
export const exportPrivatePem = (key: SigningKey): string =>
  key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** Exports the public key as SPKI. */
export const exportPublicPem = (key: VerificationKey): string =>
  key.publicKey.export({ type: 'spki', format: 'pem' }).toString()

/** Tests whether a key is the one with this identity. */
export const isKey = ({ kid, publicKey }: VerificationKey, identity: KeyIdentity): boolean =>
  kid === identity.kid && thumbprint(publicKey) === identity.thumbprint

/** The hashed members, in the order of RFC 7638 §3.2 (RFC 8037 §2 for OKP). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['e', 'kty', 'n'],
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
}

/** Computes the SHA-256 thumbprint of a public key, base64url-encoded (RFC 7638 §3). */
export function thumbprint(publicKey: KeyObject): string {
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, unknown>
  const members = THUMBPRINT_MEMBERS[String(jwk.kty)] ?? []
  const covered = Object.fromEntries(members.map((name) => [name, jwk[name]]))
  return createHash('sha256').update(JSON.stringify(covered)).digest('base64url')
}
