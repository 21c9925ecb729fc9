export type X509BundleErrorCode = 'bundle_not_found' | 'malformed_bundle' | 'no_certificates'

/** Reports an X.509 bundle that is missing or malformed; `code` is stable. */
export class X509BundleError extends Error {
  readonly code: X509BundleErrorCode

  constructor(code: X509BundleErrorCode, message: string, options?: ErrorOptions) {
    super(`x509bundle: ${message}`, options)
    this.name = 'X509BundleError'
    this.code = code
  }
}
