import { constants, type SignKeyObjectInput, sign, verify } from 'node:crypto'
import type { Algorithm } from '../algorithms.ts'
import { ALGORITHMS } from '../algorithms.ts'
import type { SigningKey, VerificationKey } from '../keys.ts'
import type { TokenLibrary } from '../library.ts'

const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST } = constants

/** RFC 7518 §3.3–3.5, RFC 8037 §3.1. PS256's salt is as long as its hash, no other length verifies. */
export const PARAMETERS: Readonly<Record<Algorithm, Omit<SignKeyObjectInput, 'key'>>> = {
  RS256: { padding: RSA_PKCS1_PADDING },
  PS256: { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_DIGEST },
  ES256: { dsaEncoding: 'ieee-p1363' },
  EdDSA: {},
}

/** Ed25519 hashes by itself (RFC 8032 §5.1). */
export const digestOf = (alg: Algorithm) => (alg === 'EdDSA' ? null : 'sha256')

const signingInputs = new WeakMap<SigningKey, SignKeyObjectInput>()
const verificationInputs = new WeakMap<VerificationKey, SignKeyObjectInput>()
const headers = new WeakMap<SigningKey, Map<string, string>>()

function signingInput(key: SigningKey): SignKeyObjectInput {
  let input = signingInputs.get(key)
  if (!input) {
    input = { key: key.privateKey, ...PARAMETERS[key.alg] }
    signingInputs.set(key, input)
  }
  return input
}

function verificationInput(key: VerificationKey): SignKeyObjectInput {
  let input = verificationInputs.get(key)
  if (!input) {
    input = { key: key.publicKey, ...PARAMETERS[key.alg] }
    verificationInputs.set(key, input)
  }
  return input
}

/** The header is the same for every token of a key, so it is encoded once. */
function encodedHeader(key: SigningKey, typ: string): string {
  let ofKey = headers.get(key)
  if (!ofKey) {
    ofKey = new Map()
    headers.set(key, ofKey)
  }
  let header = ofKey.get(typ)
  if (header === undefined) {
    header = Buffer.from(JSON.stringify({ alg: key.alg, typ, kid: key.kid })).toString('base64url')
    ofKey.set(typ, header)
  }
  return header
}

/**
 * Our own adapter, and the default: OpenSSL through node:crypto, with nothing in between. RSA signing (260 µs) goes to
 * the thread pool; elliptic curves (25 µs) and verifying (18–80 µs) cost less than the way there would.
 */
export const nodeCrypto: TokenLibrary = {
  name: 'node-crypto',
  algorithms: ALGORITHMS,

  sign(claims, key, typ) {
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
    const input = `${encodedHeader(key, typ)}.${payload}`
    const bytes = Buffer.from(input, 'latin1')
    const digest = digestOf(key.alg)
    if (key.privateKey.asymmetricKeyType !== 'rsa')
      return Promise.resolve(`${input}.${sign(digest, bytes, signingInput(key)).toString('base64url')}`)
    return new Promise((resolve, reject) => {
      sign(digest, bytes, signingInput(key), (error, signature) => {
        if (error) reject(error)
        else resolve(`${input}.${signature.toString('base64url')}`)
      })
    })
  },

  verify(parts, key) {
    const bytes = Buffer.from(parts.signingInput, 'latin1')
    return verify(digestOf(key.alg), bytes, verificationInput(key), parts.signature)
  },
}
