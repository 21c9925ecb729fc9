export type KeyErrorReason = 'invalid_key' | 'private_key' | 'weak_key' | 'alg_mismatch'

/** Reports a key that must not be used. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly reason: KeyErrorReason

  constructor(reason: KeyErrorReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}
