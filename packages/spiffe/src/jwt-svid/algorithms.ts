import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto'

interface SignatureScheme {
  readonly keyType: 'rsa' | 'ec'
  readonly curve?: string
  readonly hash: string
  readonly options: Omit<VerifyKeyObjectInput, 'key'>
}

const rsa = (hash: string): SignatureScheme => ({
  keyType: 'rsa',
  hash,
  options: { padding: constants.RSA_PKCS1_PADDING },
})
const pss = (hash: string): SignatureScheme => ({
  keyType: 'rsa',
  hash,
  // RFC 7518 §3.5: the salt is as long as the hash.
  options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
})
const ecdsa = (hash: string, curve: string): SignatureScheme => ({
  keyType: 'ec',
  curve,
  hash,
  options: { dsaEncoding: 'ieee-p1363' },
})

/** The algorithms of JWT-SVID §2.1, all of them and no other: no `none`, no HMAC, no EdDSA. */
const SCHEMES: ReadonlyMap<unknown, SignatureScheme> = new Map([
  ['RS256', rsa('sha256')],
  ['RS384', rsa('sha384')],
  ['RS512', rsa('sha512')],
  ['ES256', ecdsa('sha256', 'prime256v1')],
  ['ES384', ecdsa('sha384', 'secp384r1')],
  ['ES512', ecdsa('sha512', 'secp521r1')],
  ['PS256', pss('sha256')],
  ['PS384', pss('sha384')],
  ['PS512', pss('sha512')],
])

export const isAllowed = (alg: unknown): alg is string => SCHEMES.has(alg)

/** Whether a key is of the type, and for ECDSA on the very curve, that the algorithm prescribes (RFC 7518 §3). */
export function fitsKey(alg: string, key: KeyObject): boolean {
  const scheme = SCHEMES.get(alg)
  if (!scheme || key.asymmetricKeyType !== scheme.keyType) return false
  return scheme.curve === undefined || key.asymmetricKeyDetails?.namedCurve === scheme.curve
}

/** Verifies a signature with a key that fits. */
export function verifies(alg: string, key: KeyObject, signingInput: string, signature: Buffer): boolean {
  const scheme = SCHEMES.get(alg)
  if (!scheme || !fitsKey(alg, key)) return false
  return verify(scheme.hash, Buffer.from(signingInput), { key, ...scheme.options }, signature)
}
