import { constants, type SignKeyObjectInput } from 'node:crypto'

const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST } = constants

/** How an algorithm signs: the key that it needs and what OpenSSL needs to know (RFC 7518 §3.3–3.5, RFC 8037 §3.1). */
export interface SignatureScheme {
  /** As a JWK names them (RFC 7518 §6, RFC 8037 §2). */
  readonly kty: 'RSA' | 'EC' | 'OKP'
  readonly crv?: string
  /** The `asymmetricKeyType` of a `KeyObject`. */
  readonly keyType: 'rsa' | 'ec' | 'ed25519'
  /** The `namedCurve` of a `KeyObject`: OpenSSL has names of its own. */
  readonly namedCurve?: string
  /** `null` for Ed25519, which hashes by itself (RFC 8032 §5.1). */
  readonly digest: string | null
  readonly options: Omit<SignKeyObjectInput, 'key'>
  /** The length of R and S together. An RSA signature is as long as its key, which OpenSSL checks. */
  readonly signatureBytes?: number
}

const rsa = (digest: string, options: SignatureScheme['options']): SignatureScheme => ({
  kty: 'RSA',
  keyType: 'rsa',
  digest,
  options,
})
const PKCS1 = { padding: RSA_PKCS1_PADDING }
/** RFC 7518 §3.5: the salt is as long as the hash, no other length verifies. */
const PSS = { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_DIGEST }

const ecdsa = (digest: string, crv: string, namedCurve: string, signatureBytes: number): SignatureScheme => ({
  kty: 'EC',
  crv,
  keyType: 'ec',
  namedCurve,
  digest,
  options: { dsaEncoding: 'ieee-p1363' },
  signatureBytes,
})

const ed25519: SignatureScheme = {
  kty: 'OKP',
  crv: 'Ed25519',
  keyType: 'ed25519',
  digest: null,
  options: {},
  signatureBytes: 64,
}

/** Every signature algorithm that a key can verify here; HMAC is never one of them, because a verifier could also sign. */
export const SCHEMES = {
  RS256: rsa('sha256', PKCS1),
  RS384: rsa('sha384', PKCS1),
  RS512: rsa('sha512', PKCS1),
  PS256: rsa('sha256', PSS),
  PS384: rsa('sha384', PSS),
  PS512: rsa('sha512', PSS),
  ES256: ecdsa('sha256', 'P-256', 'prime256v1', 64),
  ES384: ecdsa('sha384', 'P-384', 'secp384r1', 96),
  ES512: ecdsa('sha512', 'P-521', 'secp521r1', 132),
  EdDSA: ed25519,
} as const

/** Every algorithm of the table. Which of them a verifier accepts is one of its rules. */
export type SignatureAlgorithm = keyof typeof SCHEMES

/** The algorithms of the suite: what its keys are made for, and what its verifiers accept unless their rules differ. */
export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

/** The default comes first. `EdDSA` is only Ed25519. */
export const ALGORITHMS: readonly Algorithm[] = ['RS256', 'PS256', 'ES256', 'EdDSA']

/** Names compare exactly: `rs256` is not an algorithm (RFC 7515 §4.1.1). */
export const isAlgorithm = (name: unknown): name is Algorithm =>
  (ALGORITHMS as readonly unknown[]).includes(name)

/** Returns the algorithm that a header or a JWK names, if it is one of those allowed. */
export function algorithmNamed<A extends SignatureAlgorithm>(
  name: unknown,
  allowed: readonly A[],
): A | undefined {
  const alg = withoutAlias(name)
  return (allowed as readonly unknown[]).includes(alg) ? (alg as A) : undefined
}

/**
 * RFC 9864 renames `EdDSA` over Ed25519 to `Ed25519`; both names are read, and `EdDSA` is written, because every library
 * knows it.
 */
export const withoutAlias = (name: unknown): unknown => (name === 'Ed25519' ? 'EdDSA' : name)
