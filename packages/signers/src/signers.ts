import { HttpError } from '@hallpass/service-kit'
import type { Algorithm, Signer, SigningKey } from '@hallpass/tokens'

/** A key pair that can sign, and what the store keeps to find it again. */
export interface StoredSigner {
  readonly key: SigningKey | Signer
  /** Never a private key in clear: a wrapped one, or the name of a key in an HSM or a key management service. */
  readonly reference: string
}

/** Where private keys are kept: wrapped in the issuer's store, in a PKCS#11 token, or in AWS KMS. */
export interface Signers {
  readonly kind: 'wrapped' | 'pkcs11' | 'aws-kms'
  /**
   * Creates a key pair for a key ID, whose kid is that of `named`. The caller stores the reference before the key signs
   * anything, and destroys it if that fails.
   * @throws {SignerUnavailableError} if the system that keeps the keys does not answer.
   * @throws {UnsupportedAlgorithmError} if it cannot make such a key.
   */
  create(algorithm: Algorithm, keyId: string): Promise<StoredSigner>
  /**
   * Takes over a private key that is in this process, e.g. from a PEM file. Undefined if keys are only made in the system.
   * @throws {SignerUnavailableError} if the key-encryption key is in a system that does not answer.
   */
  readonly importKey?: (key: SigningKey) => Promise<StoredSigner>
  /**
   * Whether the reference is one as {@link create} makes it now. A key of an earlier key-encryption key must not begin to
   * sign, because that key may be about to go. Undefined if there is no such difference.
   */
  readonly isCurrent?: (reference: string) => boolean
  /**
   * Opens a key that {@link create} made, in this process or another.
   * @throws {SignerUnavailableError} if the system does not answer.
   * @throws {KeyError} if the reference is damaged, the key is gone, or it does not fit the algorithm.
   */
  open(reference: string, algorithm: Algorithm, kid: string): Promise<SigningKey | Signer>
  /**
   * Destroys a private key that must not sign again. Does nothing if it is already gone.
   * @throws {SignerUnavailableError} if the system does not answer.
   */
  destroy(reference: string): Promise<void>
  /**
   * Checks that keys could be made and used now, optionally for an algorithm.
   * @throws {SignerUnavailableError} with the reason.
   * @throws {UnsupportedAlgorithmError}
   */
  check(algorithm?: Algorithm): Promise<void>
  close(): Promise<void>
}

/** Long enough for a restarted token or a throttled account, and soon enough for a request that a client repeats. */
const RETRY_AFTER_SECONDS = 1

/**
 * Reports that private keys cannot be used now: 503 `signer_unavailable` with Retry-After. No key was made, and nothing was
 * signed. The message names the fault and nothing of the system's own text, which may contain account numbers.
 */
export class SignerUnavailableError extends HttpError {
  constructor(system: string, fault: string, cause?: unknown) {
    super(503, 'signer_unavailable', `${system} is not available (${fault}).`, {
      cause,
      headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
    })
    this.name = 'SignerUnavailableError'
  }
}

/** Reports an algorithm for which a system makes no keys. Another `ALGORITHM` or `SIGNER` helps. */
export class UnsupportedAlgorithmError extends Error {
  override readonly name = 'UnsupportedAlgorithmError'

  constructor(system: string, algorithm: Algorithm, missing: string, options?: ErrorOptions) {
    super(`${system} cannot sign with ${algorithm} (no ${missing}). Set another ALGORITHM.`, options)
  }
}
