import { type Clock, issuerKeys } from '@hallpass/service-kit'
import { anySubject, remoteKeys, type VerifiedToken, verifyToken } from '@hallpass/tokens'

export interface GuardConfig {
  readonly issuer: string
  readonly audience: string
  /** Where the issuer's keys are: a file, a URL, or by default what its discovery document says. */
  readonly jwksFile: string | undefined
  readonly jwksUrl: string | undefined
  readonly maxLifetimeSeconds: number
}

/** The scope that publishing needs. */
export const PUBLISH_SCOPE = 'publish'

export type PublisherGuard = (token: string) => Promise<VerifiedToken>

/** Verifies the tokens of publishers: who they are is free, from whom and for what is not. */
export function publisherGuard(config: GuardConfig, clock: Clock): PublisherGuard {
  const { issuer, audience, jwksFile, jwksUrl, maxLifetimeSeconds } = config
  const keys = remoteKeys({ issuer, ...issuerKeys({ issuer, jwksFile, jwksUrl }), clock })
  return (token) =>
    verifyToken(token, { issuer, audience, subject: anySubject, keys, maxLifetimeSeconds, clock })
}
