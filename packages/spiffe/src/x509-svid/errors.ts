import type { PathErrorCode } from '@hallpass/x509'
import type { SpiffeIdErrorCode } from '../spiffe-id/index.ts'

export type X509SvidErrorCode =
  | SpiffeIdErrorCode
  | PathErrorCode
  | 'no_certificates'
  | 'no_uri_name'
  | 'several_uri_names'
  | 'root_path'
  | 'name_not_critical'
  | 'leaf_is_ca'
  | 'leaf_signs_certificates'
  | 'leaf_signs_crls'
  | 'leaf_does_not_sign'
  | 'key_usage_missing'
  | 'extended_key_usage'
  | 'intermediate_is_no_ca'
  | 'intermediate_does_not_sign'
  | 'bundle_missing'
  | 'malformed_certificate'
  | 'malformed_key'
  | 'no_private_key'
  | 'key_mismatch'
  | 'unsupported_key'
  | 'id_mismatch'

/** Reports a rejected X.509-SVID, of a peer or the workload itself; `code` is stable. */
export class X509SvidError extends Error {
  readonly code: X509SvidErrorCode

  constructor(code: X509SvidErrorCode, message: string, options?: ErrorOptions) {
    super(`x509svid: ${message}`, options)
    this.name = 'X509SvidError'
    this.code = code
  }
}
