import { type Clock, issuerKeys, type UnusableKeys } from '@hallpass/service-kit'
import {
  anySubject,
  remoteKeys,
  type SignatureAlgorithm,
  type VerifiedToken,
  verifyToken,
} from '@hallpass/tokens'

export interface GuardConfig {
  readonly issuer: string
  readonly audience: string
  /** The source of the issuer's keys: a file, a URL, or by default the issuer's discovery document. */
  readonly jwksFile: string | undefined
  readonly jwksUrl: string | undefined
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly maxLifetimeSeconds: number
  /** Tolerated clock skew of the issuer. */
  readonly leewaySeconds: number
}

/** The scopes that publishing and reading require. */
export const PUBLISH_SCOPE = 'publish'
export const SUBSCRIBE_SCOPE = 'subscribe'

export type TokenGuard = (token: string) => Promise<VerifiedToken>

/**
 * Returns a verifier of the tokens of publishers and readers. It accepts any subject, but only this issuer and this audience. An ID
 * token grants nothing, because it has no scope.
 */
export function tokenGuard(config: GuardConfig, clock: Clock, unusable?: UnusableKeys): TokenGuard {
  const { issuer, audience, jwksFile, jwksUrl, algorithms, maxLifetimeSeconds, leewaySeconds } = config
  const keys = remoteKeys({
    issuer,
    ...issuerKeys({ issuer, jwksFile, jwksUrl, unusable }),
    algorithms,
    clock,
  })
  return (token) =>
    verifyToken(token, {
      issuer,
      audience,
      subject: anySubject,
      keys,
      algorithms,
      maxLifetimeSeconds,
      leewaySeconds,
      clock,
    })
}
