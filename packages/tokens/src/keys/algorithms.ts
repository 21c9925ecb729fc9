import { constants, type SignKeyObjectInput } from 'node:crypto'

const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST } = constants

/** Describes a signature algorithm: its key type and its OpenSSL parameters (RFC 7518 §3.3–3.5, RFC 8037 §3.1). */
export interface SignatureScheme {
  /** JWK values (RFC 7518 §6, RFC 8037 §2). */
  readonly kty: 'RSA' | 'EC' | 'OKP'
  readonly crv?: string
  /** The `asymmetricKeyType` of a `KeyObject`. */
  readonly keyType: 'rsa' | 'ec' | 'ed25519'
  /** The `namedCurve` of a `KeyObject`, which uses OpenSSL's own names. */
  readonly namedCurve?: string
  /** `null` for Ed25519, which includes its own hash (RFC 8032 §5.1). */
  readonly digest: string | null
  readonly options: Omit<SignKeyObjectInput, 'key'>
  /** Combined length of R and S. Not set for RSA: a signature is as long as its key, and OpenSSL checks that. */
  readonly signatureBytes?: number
}

const rsa = (digest: string, options: SignatureScheme['options']): SignatureScheme => ({
  kty: 'RSA',
  keyType: 'rsa',
  digest,
  options,
})
const PKCS1 = { padding: RSA_PKCS1_PADDING }
/** RFC 7518 §3.5: the salt must be exactly as long as the hash. */
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

/** All supported signature algorithms. HMAC is excluded because any verifier could also sign. */
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

/** Any algorithm of the table. A verifier's rules choose which of them it accepts. */
export type SignatureAlgorithm = keyof typeof SCHEMES

/** All of them: what a verifier of foreign issuers accepts. */
export const SIGNATURE_ALGORITHMS = Object.keys(SCHEMES) as readonly SignatureAlgorithm[]

/** The algorithms that our keys use, and that verifiers accept by default. */
export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

/** The first is the default. `EdDSA` means Ed25519 only. */
export const ALGORITHMS: readonly Algorithm[] = ['RS256', 'PS256', 'ES256', 'EdDSA']

/**
 * Returns the algorithm named by a header or a JWK if it is allowed, otherwise undefined. Names are compared exactly: `rs256` is none
 * (RFC 7515 §4.1.1).
 */
export function algorithmNamed<A extends SignatureAlgorithm>(
  name: unknown,
  allowed: readonly A[],
): A | undefined {
  const alg = withoutAlias(name)
  return (allowed as readonly unknown[]).includes(alg) ? (alg as A) : undefined
}

/**
 * Maps `Ed25519`, the new name of RFC 9864, to `EdDSA`. Both names are accepted; `EdDSA` is written, because every library
 * knows it.
 */
export const withoutAlias = (name: unknown): unknown => (name === 'Ed25519' ? 'EdDSA' : name)

/**
 * Reads a configured list of algorithms that a verifier accepts.
 * @throws {TypeError} if a name is none of {@link SIGNATURE_ALGORITHMS} or if the list is empty
 */
export function algorithmsNamed(names: readonly string[]): readonly SignatureAlgorithm[] {
  const found = names.map((name) => {
    const alg = algorithmNamed(name, SIGNATURE_ALGORITHMS)
    if (alg) return alg
    throw new TypeError(`${name} is not one of ${SIGNATURE_ALGORITHMS.join(', ')}`)
  })
  if (found.length === 0) throw new TypeError(`must be one or more of ${SIGNATURE_ALGORITHMS.join(', ')}`)
  return [...new Set(found)]
}

/** Reads the same list from a text with commas. @throws {TypeError} */
export const algorithmsIn = (text: string): readonly SignatureAlgorithm[] =>
  algorithmsNamed(
    text
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  )
