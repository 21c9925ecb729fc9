export type FederationErrorCode =
  | 'malformed_url'
  | 'unreachable'
  | 'unexpected_status'
  | 'too_large'
  | 'malformed_bundle'

/** A foreign bundle that could not be had; `code` is stable. */
export class FederationError extends Error {
  readonly code: FederationErrorCode

  constructor(code: FederationErrorCode, message: string, options?: ErrorOptions) {
    super(`federation: ${message}`, options)
    this.name = 'FederationError'
    this.code = code
  }
}
