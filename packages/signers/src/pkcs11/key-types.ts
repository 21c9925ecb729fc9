import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { type Algorithm, KeyError } from '@hallpass/tokens'
import { DerReader, TAG } from '@hallpass/x509/der'
import { type Attribute, CK, CKA, CKG_MGF1_SHA256, CKK, CKM, type Mechanism } from './pkcs11js.ts'

/** What PKCS#11 needs to make and use the keys of an algorithm. */
export interface KeyType {
  /** The value of CKA_KEY_TYPE. */
  readonly keyType: number
  readonly generation: number
  /** The name of the mechanism that signs, for messages. */
  readonly mechanismName: string
  readonly signing: Mechanism
  /** The members of the public key's template that say which kind of key to make. */
  readonly parameters: readonly Attribute[]
  /** What the mechanism signs: the bytes, or their hash if it does not hash. */
  readonly input: (bytes: Uint8Array) => Buffer
  /** The public attributes that {@link publicKey} needs, in its order. */
  readonly attributes: readonly number[]
  readonly publicKey: (values: readonly Buffer[]) => KeyObject
}

/** 112 bits of security, as for keys that are made in this process. */
const RSA_MODULUS_BITS = 2048
const EXPONENT_65537 = Buffer.from([1, 0, 1])
/** The object identifiers of P-256 (RFC 5480 §2.1.1.1) and Ed25519 (RFC 8410 §3) in DER. */
const P256 = Buffer.from('06082a8648ce3d030107', 'hex')
const ED25519 = Buffer.from('06032b6570', 'hex')
const COORDINATE_BYTES = 32
const SALT_BYTES = 32

const whole = (bytes: Uint8Array) => Buffer.from(bytes)
const hashed = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

const rsa = (mechanismName: string, signing: Mechanism): KeyType => ({
  keyType: CKK.RSA,
  generation: CKM.RSA_PKCS_KEY_PAIR_GEN,
  mechanismName,
  signing,
  parameters: [
    { type: CKA.MODULUS_BITS, value: RSA_MODULUS_BITS },
    { type: CKA.PUBLIC_EXPONENT, value: EXPONENT_65537 },
  ],
  input: whole,
  attributes: [CKA.MODULUS, CKA.PUBLIC_EXPONENT],
  publicKey: ([n, e]) => fromJwk({ kty: 'RSA', n: base64url(n), e: base64url(e) }),
})

/** The algorithms as PKCS#11 2.40 and 3.0 know them. ECDSA gets the hash, because not every token hashes for it. */
export const KEY_TYPES: Readonly<Record<Algorithm, KeyType>> = {
  RS256: rsa('CKM_SHA256_RSA_PKCS', { mechanism: CKM.SHA256_RSA_PKCS }),
  PS256: rsa('CKM_SHA256_RSA_PKCS_PSS', {
    mechanism: CKM.SHA256_RSA_PKCS_PSS,
    // RFC 7518 §3.5: the salt is as long as the hash.
    parameter: {
      type: CK.PARAMS_RSA_PSS,
      hashAlg: CKM.SHA256,
      mgf: CKG_MGF1_SHA256,
      saltLen: SALT_BYTES,
    },
  }),
  ES256: {
    keyType: CKK.EC,
    generation: CKM.EC_KEY_PAIR_GEN,
    mechanismName: 'CKM_ECDSA',
    signing: { mechanism: CKM.ECDSA },
    parameters: [{ type: CKA.EC_PARAMS, value: P256 }],
    input: hashed,
    attributes: [CKA.EC_POINT],
    publicKey: ([point]) => {
      const bytes = pointOf(point, 1 + 2 * COORDINATE_BYTES)
      if (bytes[0] !== 4) throw unreadable('an uncompressed point')
      const x = bytes.subarray(1, 1 + COORDINATE_BYTES)
      const y = bytes.subarray(1 + COORDINATE_BYTES)
      return fromJwk({ kty: 'EC', crv: 'P-256', x: base64url(x), y: base64url(y) })
    },
  },
  EdDSA: {
    keyType: CKK.EC_EDWARDS,
    generation: CKM.EC_EDWARDS_KEY_PAIR_GEN,
    mechanismName: 'CKM_EDDSA',
    signing: { mechanism: CKM.EDDSA },
    parameters: [{ type: CKA.EC_PARAMS, value: ED25519 }],
    input: whole,
    attributes: [CKA.EC_POINT],
    publicKey: ([point]) =>
      fromJwk({ kty: 'OKP', crv: 'Ed25519', x: base64url(pointOf(point, COORDINATE_BYTES)) }),
  },
}

const base64url = (bytes: Buffer | undefined) => bytes?.toString('base64url') ?? ''

/** Reads CKA_EC_POINT: a DER OCTET STRING (PKCS#11 2.40), or the bare point, as some tokens have it. */
function pointOf(value: Buffer = Buffer.alloc(0), length: number): Buffer {
  if (value.length === length) return value
  try {
    const reader = new DerReader(value)
    const { content } = reader.expect(TAG.octetString)
    reader.end()
    if (content.length === length) return content
  } catch (cause) {
    throw unreadable('an octet string', cause)
  }
  throw unreadable(`${length} bytes`)
}

function fromJwk(key: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch (cause) {
    throw unreadable('a key that Node can read', cause)
  }
}

const unreadable = (expected: string, cause?: unknown) =>
  new KeyError('invalid_key', `The token's public key is not ${expected}.`, { cause })
