export type JwtBundleErrorCode = 'bundle_not_found' | 'malformed_bundle' | 'no_authorities'

/** Reports a JWT bundle that is missing or malformed; `code` is stable. */
export class JwtBundleError extends Error {
  readonly code: JwtBundleErrorCode

  constructor(code: JwtBundleErrorCode, message: string, options?: ErrorOptions) {
    super(`jwtbundle: ${message}`, options)
    this.name = 'JwtBundleError'
    this.code = code
  }
}
