export type TlsErrorCode = 'resumed_session' | 'no_peer_certificate' | 'svid_expired'

/** Reports a connection that was closed for a reason other than an invalid SVID; `code` is stable. */
export class SpiffeTlsError extends Error {
  readonly code: TlsErrorCode

  constructor(code: TlsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SpiffeTlsError'
    this.code = code
  }
}
