import { authorizationFor } from '@hallpass/callers'
import { type Clock, requireBearer, type UnusableKeys } from '@hallpass/service-kit'
import { verifyToken } from '@hallpass/tokens'
import type { Caller } from './caller.ts'
import type { CalleeConfig } from './config.ts'
import { issuedTokens } from './issued-tokens.ts'
import type { Issuer } from './issuer.ts'
import { publishedKeys } from './published-keys.ts'

export interface GuardOptions {
  /** The callee's own name, which the tokens must have as their audience. */
  readonly audience: string
  readonly caller: Caller
  /** Creates a client of the issuer. */
  readonly issuerClient: (options: {
    readonly baseUrl: string
    readonly timeoutMs: number
    readonly authorization: (() => Promise<string>) | undefined
  }) => Issuer
}

/** Returns the guards that accept only tokens of the caller for this callee. */
export function guards(
  { audience, caller, issuerClient }: GuardOptions,
  config: CalleeConfig,
  clock: Clock,
  unusable: UnusableKeys,
) {
  const issuer = issuerClient({
    baseUrl: config.jwtFactoryUrl,
    timeoutMs: config.peerTimeoutMs,
    authorization: authorizationFor(config.credential, {
      clientId: audience,
      audience: config.jwtFactoryIssuer,
    }),
  })
  const keys = publishedKeys(caller, config.stateFolder, clock, unusable)

  return {
    /** Scenarios 1 and 2: the issuer holds the keys, so it is called; or its keys and status lists are enough. */
    byIssuer: requireBearer({
      realm: audience,
      verify: config.verifiesOffline
        ? issuedTokens({
            issuer: config.jwtFactoryIssuer,
            source: issuer,
            statusListsUrl: config.statusListsUrl,
            audience,
            subject: caller.subject,
            leewaySeconds: config.clockToleranceSeconds,
            clock,
            library: config.library,
            unusable,
          })
        : (token) => issuer.verify(caller.subject, { token, aud: audience, sub: caller.subject }),
    }),
    /** Scenarios 3 and 4: the caller's public key is enough, and no service is called. */
    byPublishedKey: requireBearer({
      realm: audience,
      verify: (token) =>
        verifyToken(token, {
          issuer: caller.issuer,
          audience,
          subject: caller.subject,
          keys,
          maxLifetimeSeconds: caller.maxTokenLifetimeSeconds,
          leewaySeconds: config.clockToleranceSeconds,
          clock,
          library: config.library,
        }),
      refusalBody: (error) => ({ valid: false, error, claims: {} }),
    }),
  }
}
