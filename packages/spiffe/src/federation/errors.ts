export type FederationErrorCode =
  | 'malformed_url'
  | 'unreachable'
  | 'unexpected_status'
  | 'too_large'
  | 'malformed_bundle'

/** Reports a federated bundle that could not be fetched; `code` is stable. */
export class FederationError extends Error {
  readonly code: FederationErrorCode

  constructor(code: FederationErrorCode, message: string, options?: ErrorOptions) {
    super(`federation: ${message}`, options)
    this.name = 'FederationError'
    this.code = code
  }
}
