export type SpiffeBundleErrorCode = 'malformed_bundle' | 'no_authorities'

/** Reports a malformed SPIFFE bundle; `code` is stable. */
export class SpiffeBundleError extends Error {
  readonly code: SpiffeBundleErrorCode

  constructor(code: SpiffeBundleErrorCode, message: string, options?: ErrorOptions) {
    super(`spiffebundle: ${message}`, options)
    this.name = 'SpiffeBundleError'
    this.code = code
  }
}
