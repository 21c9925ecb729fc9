import { type Introspection, looksLikeJwt } from '@hallpass/callers/introspection'
import {
  type Clock,
  type HttpError,
  isKeyNotLoaded,
  isTokenRefusal,
  isUnusableKeySet,
} from '@hallpass/service-kit'
import {
  anySubject,
  type Claims,
  cachedVerifier,
  type KeyFinder,
  optionalSubject,
  type SignatureAlgorithm,
  type TokenUse,
  type VerificationKey,
} from '@hallpass/tokens'
import { unavailable } from '../http/index.ts'

/** An issuer whose tokens are accepted on a path. */
export interface TrustedIssuer {
  readonly issuer: string
  readonly audience: string
  /** What verifies its tokens: its keys, or what it answers about them. */
  readonly source: { readonly keys: KeyFinder } | { readonly introspection: Introspection }
  /** What tells an access token from an ID token of this issuer. */
  readonly tokenUse: TokenUse
}

/** What the tokens of all issuers of a path must meet. */
export interface TokenRules {
  /** `optional` accepts tokens without `exp`; their streams close at their maximum age. */
  readonly expiry: 'required' | 'optional'
  /** `required` rejects tokens without `sub`. */
  readonly subject: 'required' | 'optional'
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly maxLifetimeSeconds: number
  /** Tolerated clock skew of the issuers. */
  readonly leewaySeconds: number
  /**
   * The same for `exp`. 0 for streams, which close at `exp` by this gateway's clock: a token that only the tolerance keeps
   * valid would open one that closes immediately, and the client would reconnect.
   */
  readonly expiryLeewaySeconds: number
}

export interface VerifiedBearer {
  readonly claims: Claims
  /** The key that signed the token; undefined if the issuer was asked. */
  readonly key: VerificationKey | undefined
}

export interface VerifyOptions {
  /** Asks the issuer in any case, if it is asked about its tokens. */
  readonly fresh?: boolean
}

export type IssuerVerifier = (token: string, how: VerifyOptions) => Promise<VerifiedBearer>

/**
 * Makes the verifier of an issuer's tokens, which rejects with a token refusal, or with the HttpError of an issuer that is
 * unavailable or misconfigured. What a token must meet does not depend on how its issuer is trusted.
 */
export function issuerVerifier(trusted: TrustedIssuer, rules: TokenRules, clock: Clock): IssuerVerifier {
  const { issuer, audience, tokenUse, source } = trusted
  // Tokens that a login issues often have several audiences; the scope limits what they allow here.
  const identity = { issuer, audience, audienceList: 'contains', tokenUse } as const
  if ('introspection' in source) {
    const verify = source.introspection.verifier({ ...rules, ...identity, answeredAudience: 'required' })
    return async (token, how) => {
      const { claims } = await verify(token, how)
      // An answer may lack it.
      return { claims: { ...claims, iss: issuer }, key: undefined }
    }
  }
  // A page opens several streams with one token, and a browser reconnects with the token in its URL, so signatures are
  // cached; all other checks are repeated.
  const verify = cachedVerifier({
    ...rules,
    ...identity,
    subject: rules.subject === 'required' ? anySubject : optionalSubject,
    keys: source.keys,
    clock,
  })
  return (token) =>
    verify(token).catch((error: unknown) => {
      throw isTokenRefusal(error) ? error : withoutKeys(error)
    })
}

/** Returns the error of an issuer whose keys cannot be used or loaded. */
function withoutKeys(error: unknown): HttpError {
  if (isUnusableKeySet(error)) return unavailable(502, 'keys_unusable', error.message, error)
  if (isKeyNotLoaded(error))
    return unavailable(503, 'keys_unavailable', error.message, error, error.retryAfterSeconds)
  return unavailable(503, 'keys_unavailable', "The issuer's keys are unavailable. Retry later.", error)
}

/** Returns the issuer that is asked about tokens that are not JWTs, and so do not name their issuer. */
export const issuerOfOpaque = (
  issuers: readonly Pick<TrustedIssuer, 'issuer' | 'source'>[],
): string | undefined => issuers.find(({ source }) => 'introspection' in source)?.issuer

export const isOpaque = (token: string): boolean => !looksLikeJwt(token)
