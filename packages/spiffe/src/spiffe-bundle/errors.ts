export type SpiffeBundleErrorCode = 'malformed_bundle' | 'no_authorities'

/** A SPIFFE bundle that cannot be read; `code` is stable. */
export class SpiffeBundleError extends Error {
  readonly code: SpiffeBundleErrorCode

  constructor(code: SpiffeBundleErrorCode, message: string, options?: ErrorOptions) {
    super(`spiffebundle: ${message}`, options)
    this.name = 'SpiffeBundleError'
    this.code = code
  }
}
