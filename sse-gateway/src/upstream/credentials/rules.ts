import type { SignatureAlgorithm } from '@hallpass/tokens'

/** How this gateway gets a token of its own for an upstream (RFC 6749 §4.4). */
export type TokenRule = {
  /** The token endpoint. */
  readonly url: string
  readonly clientId: string
  readonly scope?: string | undefined
  readonly audience?: string | undefined
  readonly resource?: string | undefined
  readonly caFile?: string | undefined
} & (
  | { readonly method: 'client_secret_basic'; readonly secretFile: string }
  | {
      readonly method: 'private_key_jwt'
      /** The only audience of the assertions. */
      readonly issuer: string
      readonly keyFile: string
      readonly algorithm: SignatureAlgorithm
      /** The `kid` of the assertions; by default the thumbprint of the key. */
      readonly keyId?: string | undefined
    }
  | { readonly method: 'tls_client_auth'; readonly certFile: string; readonly keyFile: string }
)

/** What this gateway needs to connect to an upstream. */
export interface CredentialRule {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The files of the values of further headers. */
  readonly headerFiles?: Readonly<Record<string, string>> | undefined
  readonly token?: TokenRule | undefined
}
