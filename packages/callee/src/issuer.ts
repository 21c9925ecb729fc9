import type { VerifiedClaims } from '@hallpass/service-kit'

/** What verification without a call for each token needs of the issuer. */
export interface IssuedStatusSource {
  /** Returns the parsed JWKS of a key ID. */
  jwks(keyId: string): Promise<unknown>
  /** Returns the status list token with this ID. */
  statusList(id: string): Promise<string>
}

/** The issuer that holds the caller's keys. */
export interface Issuer extends IssuedStatusSource {
  /** Returns the claims of a valid token; throws otherwise. */
  verify(
    keyId: string,
    wanted: { readonly token: string; readonly aud: string; readonly sub: string },
  ): Promise<VerifiedClaims>
}
