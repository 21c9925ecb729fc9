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
   * Creates a key pair for a key ID. The caller stores the reference before the key signs anything.
   * @throws {SignerUnavailableError} if the system that keeps the keys does not answer.
   */
  create(algorithm: Algorithm, keyId: string): Promise<StoredSigner>
  /**
   * Opens a key that {@link create} made, in this process or another.
   * @throws {SignerUnavailableError} if the system does not answer.
   * @throws {KeyError} if the reference is damaged, or the key is gone.
   */
  open(reference: string, algorithm: Algorithm, kid: string): Promise<SigningKey | Signer>
  /** Destroys a private key that must not sign again. Does nothing if it is already gone. */
  destroy(reference: string): Promise<void>
  /** Checks that keys could be made and used now. @throws {SignerUnavailableError} with the reason. */
  check(): Promise<void>
  close(): Promise<void>
}

/** Reports that private keys cannot be used now. No key was made, and nothing was signed. */
export class SignerUnavailableError extends Error {
  override readonly name = 'SignerUnavailableError'

  constructor(system: string, cause: unknown) {
    super(`${system} is not available (${(cause as Error)?.message || String(cause)}).`, { cause })
  }
}
