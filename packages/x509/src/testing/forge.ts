import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import * as der from '../der/writer.ts'
import { writeName } from '../write/certificate.ts'

/** The time at which all test certificates are verified. */
export const NOW = Date.parse('2026-06-01T12:00:00Z')
export const HOUR = 3_600_000

const NULL = Buffer.from('0500', 'hex')
const plain = (oid: string) => der.sequence(der.oid(oid))
const rsa = (oid: string) => der.sequence(der.oid(oid), NULL)
const pss = (hashOid: string, saltLength: number) => {
  const hash = der.sequence(der.oid(hashOid), NULL)
  return der.sequence(
    der.oid('1.2.840.113549.1.1.10'),
    der.sequence(
      der.explicit(0, hash),
      der.explicit(1, der.sequence(der.oid('1.2.840.113549.1.1.8'), hash)),
      der.explicit(2, der.integer(Buffer.from([saltLength]))),
    ),
  )
}

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }

/** The signature algorithms, accepted or not: AlgorithmIdentifier and the hash name of node:crypto. */
export const ALGORITHMS = {
  'ECDSA-SHA256': { identifier: plain('1.2.840.10045.4.3.2'), hash: 'sha256' },
  'ECDSA-SHA384': { identifier: plain('1.2.840.10045.4.3.3'), hash: 'sha384' },
  'ECDSA-SHA512': { identifier: plain('1.2.840.10045.4.3.4'), hash: 'sha512' },
  'ECDSA-SHA1': { identifier: plain('1.2.840.10045.4.1'), hash: 'sha1' },
  'RSA-SHA256': { identifier: rsa('1.2.840.113549.1.1.11'), hash: 'sha256' },
  'RSA-SHA384': { identifier: rsa('1.2.840.113549.1.1.12'), hash: 'sha384' },
  'RSA-SHA512': { identifier: rsa('1.2.840.113549.1.1.13'), hash: 'sha512' },
  'RSA-SHA1': { identifier: rsa('1.2.840.113549.1.1.5'), hash: 'sha1' },
  'RSA-MD5': { identifier: rsa('1.2.840.113549.1.1.4'), hash: 'md5' },
  'PSS-SHA256': { identifier: pss('2.16.840.1.101.3.4.2.1', 32), hash: 'sha256', options: PSS },
  'PSS-SHA384': { identifier: pss('2.16.840.1.101.3.4.2.2', 48), hash: 'sha384', options: PSS },
  'PSS-SHA512': { identifier: pss('2.16.840.1.101.3.4.2.3', 64), hash: 'sha512', options: PSS },
  'PSS-SHA1': { identifier: pss('1.3.14.3.2.26', 20), hash: 'sha1', options: PSS },
  Ed25519: { identifier: plain('1.3.101.112'), hash: null },
  Ed448: { identifier: plain('1.3.101.113'), hash: null },
  unknown: { identifier: plain('1.2.3.4.5'), hash: 'sha256' },
} as const
export type Algorithm = keyof typeof ALGORITHMS

const KEYS = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  secp256k1: () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  RSA: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  Ed25519: () => generateKeyPairSync('ed25519'),
  Ed448: () => generateKeyPairSync('ed448'),
}
export type KeyKind = keyof typeof KEYS

/** A name and a key that can sign certificates. */
export interface Party {
  readonly name: Buffer
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const made = new Map<string, Party>()

/** Returns the party with this name, always with the same key. */
export function party(name: string, kind: KeyKind = 'P-256'): Party {
  const id = `${name} ${kind}`
  const known = made.get(id)
  if (known) return known
  const fresh = { name: writeName(['organization', 'Test'], ['commonName', name]), ...KEYS[kind]() }
  made.set(id, fresh)
  return fresh
}

/** How a certificate differs from a valid one. */
export interface Forgery {
  readonly algorithm?: Algorithm
  /** The signed algorithm, if it differs from the outer one. */
  readonly innerAlgorithm?: Algorithm
  readonly subject?: Buffer
  readonly issuerName?: Buffer
  readonly notBefore?: number
  readonly notAfter?: number
  /** The whole `validity` element, instead of the times. */
  readonly validity?: Buffer
  /** The `version` element; by default `[0] 2`, version 3. */
  readonly version?: Buffer
  readonly serial?: Buffer
  /** Elements between the key and the extensions. */
  readonly uniqueIds?: readonly Buffer[]
  /** `undefined` omits the whole element. */
  readonly extensions?: readonly Buffer[] | undefined
  /** Changes the signature after it was made. */
  readonly signature?: (bytes: Buffer) => Buffer
  /** Changes the certificate after it was signed. */
  readonly whole?: (bytes: Buffer) => Buffer
}

let serial = 1_000

/** Makes a certificate for a party, signed by another, with the given faults. */
export function forge(subject: Party, signer: Party, forgery: Forgery = {}): Buffer {
  const { algorithm = 'ECDSA-SHA256', notBefore = NOW - HOUR, notAfter = NOW + HOUR } = forgery
  const { identifier, hash, ...rest } = ALGORITHMS[algorithm]
  serial += 1
  const extensions = 'extensions' in forgery ? forgery.extensions : []
  const toBeSigned = der.sequence(
    forgery.version ?? der.explicit(0, der.integer(Buffer.from([2]))),
    forgery.serial ?? der.integer(Buffer.from([serial >> 8, serial & 0xff])),
    ALGORITHMS[forgery.innerAlgorithm ?? algorithm].identifier,
    forgery.issuerName ?? signer.name,
    forgery.validity ?? der.sequence(der.time(notBefore), der.time(notAfter)),
    forgery.subject ?? subject.name,
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    ...(forgery.uniqueIds ?? []),
    ...(extensions ? [der.explicit(3, der.sequence(...extensions))] : []),
  )
  const options = 'options' in rest ? rest.options : {}
  const signature = sign(hash, toBeSigned, { key: signer.privateKey, ...options })
  const bits = der.bitString(forgery.signature?.(signature) ?? signature)
  const whole = der.sequence(toBeSigned, identifier, bits)
  return forgery.whole?.(whole) ?? whole
}
