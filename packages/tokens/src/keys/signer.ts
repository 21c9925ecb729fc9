import type { Algorithm, SignatureAlgorithm } from './algorithms.ts'
import type { VerificationKey } from './keys.ts'

/** A key pair whose private half may be outside this process, e.g. in an HSM or a key management service. */
export interface Signer<A extends SignatureAlgorithm = Algorithm> extends VerificationKey<A> {
  /**
   * Signs the bytes with `alg`. Returns the signature as a JWS contains it (RFC 7518 §3): for ECDSA, R and S and not DER.
   * @throws the signing system's error if it does not sign; the caller decides what the client gets to know.
   */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}
