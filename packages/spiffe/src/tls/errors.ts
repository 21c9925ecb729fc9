export type TlsErrorCode = 'resumed_session' | 'no_peer_certificate' | 'svid_expired'

/** A connection that is not kept for a reason that is no SVID's; `code` is stable. */
export class SpiffeTlsError extends Error {
  readonly code: TlsErrorCode

  constructor(code: TlsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SpiffeTlsError'
    this.code = code
  }
}
