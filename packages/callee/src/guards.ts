import { accessTokens, authorizationFor } from '@hallpass/callers'
import { type Clock, issuerKeys, requireBearer, type UnusableKeys } from '@hallpass/service-kit'
import { verifyToken } from '@hallpass/tokens'
import { byTokenIssuer } from './by-token-issuer.ts'
import type { Caller } from './caller.ts'
import type { CalleeConfig } from './config.ts'
import { issuedTokens } from './issued-tokens.ts'
import type { Issuer } from './issuer.ts'
import { publishedKeys } from './published-keys.ts'

type ForeignIssuer = NonNullable<CalleeConfig['foreign']>

export interface GuardOptions {
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
  { caller, issuerClient }: GuardOptions,
  config: CalleeConfig,
  clock: Clock,
  unusable: UnusableKeys,
) {
  const { audience, foreign } = config
  const issuer = issuerClient({
    baseUrl: config.jwtFactoryUrl,
    timeoutMs: config.peerTimeoutMs,
    authorization: authorizationFor(config.credential, {
      clientId: audience,
      audience: config.jwtFactoryIssuer,
    }),
  })
  const keys = publishedKeys(caller, config.stateFolder, clock, unusable)

  /** The issuer holds the keys, so it is called; or its keys and status lists are enough. */
  const byFactory = requireBearer({
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
  })

  return {
    /** Scenarios 1 and 2: tokens of jwt-factory, and of the foreign issuer if there is one. */
    byIssuer: foreign
      ? byTokenIssuer({
          realm: audience,
          issuer: foreign.issuer,
          guard: byForeignIssuer(foreign),
          otherwise: byFactory,
        })
      : byFactory,
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

  /** The keys of the foreign issuer are enough; they verify no other issuer's tokens. */
  function byForeignIssuer({ scopes, jwksUrl, ...rules }: ForeignIssuer) {
    return requireBearer({
      realm: audience,
      scopes,
      verify: accessTokens({
        ...rules,
        source: issuerKeys({ issuer: rules.issuer, jwksUrl, unusable }),
        leewaySeconds: config.clockToleranceSeconds,
        library: config.library,
        clock,
      }),
    })
  }
}
