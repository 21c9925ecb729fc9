import type { Clock, IssuerKeys } from '@hallpass/service-kit'
import {
  anySubject,
  remoteKeys,
  type SignatureAlgorithm,
  type TokenLibrary,
  type TokenUse,
  type VerificationRules,
  type VerifiedToken,
  verifyToken,
} from '@hallpass/tokens'

/** Which tokens of an OpenID provider, or of another authorization server, a service accepts. */
export interface AccessTokenRules {
  /** Exactly as in the `iss` claim, with the slash at the end if it has one. */
  readonly issuer: string
  /** Where its keys come from. */
  readonly source: IssuerKeys
  readonly audience: string
  readonly audienceList: 'single' | 'contains'
  /** The only accepted `sub`; undefined: any. */
  readonly subject?: string | undefined
  /** What tells an access token from an ID token of this issuer. */
  readonly tokenUse: TokenUse
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly maxLifetimeSeconds: number
  readonly leewaySeconds: number
  readonly library?: TokenLibrary
  readonly clock: Clock
}

/**
 * Returns a verifier of an issuer's access tokens (RFC 9068 §4). It has keys of its own, so that another issuer's key with the
 * same `kid` is never used.
 */
export function accessTokens({
  source,
  subject,
  ...rules
}: AccessTokenRules): (token: string) => Promise<VerifiedToken> {
  const { issuer, algorithms, clock } = rules
  const keys = remoteKeys({ issuer, ...source, algorithms, clock })
  // `JWT` because Auth0 and others use it for access tokens; RFC 9068 §2.1 requires `at+jwt`.
  const all: VerificationRules = { ...rules, subject: subject ?? anySubject, keys, typ: ['at+jwt', 'JWT'] }
  return (token) => verifyToken(token, all)
}
