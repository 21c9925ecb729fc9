import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair as generateKeyPairCallback,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import { type Algorithm, SCHEMES, type SignatureAlgorithm } from './algorithms.ts'
import { assertKeyFits, KeyError } from './key-strength.ts'

/** A public key, the name that tokens call it by, and the one algorithm that it may be used with (RFC 8725 §3.1). */
export interface VerificationKey<A extends SignatureAlgorithm = Algorithm> {
  readonly kid: string
  readonly alg: A
  readonly publicKey: KeyObject
}

/** A key of any algorithm that can be verified here, e.g. one that signs JWT-SVIDs. */
export type AnyVerificationKey = VerificationKey<SignatureAlgorithm>

export interface SigningKey extends VerificationKey {
  readonly privateKey: KeyObject
}

export interface ImportOptions {
  readonly alg: Algorithm
  /** The key's name; by default its RFC 7638 thumbprint. */
  readonly kid?: string
}

/** 112 bits of security, the least that RFC 7518 §3.3 allows; 3072 would sign three times slower. */
const RSA_MODULUS_BITS = 2048

const generateKeyPair = promisify(generateKeyPairCallback)

/**
 * Makes a key pair on the thread pool, so that the event loop goes on meanwhile (an RSA pair takes 50–300 ms).
 * @param kid the key's name; by default its RFC 7638 thumbprint.
 */
export async function generateSigningKey(alg: Algorithm, kid?: string): Promise<SigningKey> {
  const { publicKey, privateKey } = await generatePair(alg)
  return { kid: kid ?? thumbprint(publicKey), alg, publicKey, privateKey }
}

function generatePair(alg: Algorithm) {
  const { keyType, namedCurve = '' } = SCHEMES[alg]
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
 * Reads a private key, PEM in PKCS#8, PKCS#1 or SEC1, once: a KeyObject signs three times faster than a PEM.
 * @throws {KeyError} when it is not a private key that the algorithm may use.
 */
export function importSigningKey(pem: string, { alg, kid }: ImportOptions): SigningKey {
  const privateKey = readPem(pem, createPrivateKey)
  assertKeyFits(privateKey, alg)
  const publicKey = createPublicKey(privateKey)
  return { kid: kid ?? thumbprint(publicKey), alg, publicKey, privateKey }
}

/**
 * Reads a public key, PEM in SPKI or PKCS#1.
 * @throws {KeyError} when it is not a public key that the algorithm may use.
 */
export function importVerificationKey(pem: string, { alg, kid }: ImportOptions): VerificationKey {
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
    // OpenSSL's own message is kept as the cause; it may quote what it could not read.
    throw new KeyError('invalid_key', 'The key is not a PEM that can be read.', { cause })
  }
}

/** PKCS#8, not encrypted: write it with mode 0600. */
export const exportPrivatePem = (key: SigningKey): string =>
  key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** SPKI. */
export const exportPublicPem = (key: VerificationKey): string =>
  key.publicKey.export({ type: 'spki', format: 'pem' }).toString()

/** The members that a thumbprint covers, in the order of RFC 7638 §3.2 (RFC 8037 §2 for OKP). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['e', 'kty', 'n'],
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
}

/** The SHA-256 thumbprint of a public key, base64url (RFC 7638 §3). */
export function thumbprint(publicKey: KeyObject): string {
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, unknown>
  const members = THUMBPRINT_MEMBERS[String(jwk.kty)] ?? []
  const covered = Object.fromEntries(members.map((name) => [name, jwk[name]]))
  return createHash('sha256').update(JSON.stringify(covered)).digest('base64url')
}
