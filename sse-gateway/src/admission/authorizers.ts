import { Introspection } from '@hallpass/callers/introspection'
import { type Clock, issuerKeys, type UnusableKeys } from '@hallpass/service-kit'
import { remoteKeys } from '@hallpass/tokens'
import type { Config, PathRule } from '../config/index.ts'
import { Authorizer, authorizerOfAny, type TokenAuthorizer } from './authorizer.ts'
import type { CredentialSources } from './credentials.ts'
import type { TrustedIssuer } from './issuer-verifier.ts'
import type { Challenge, ProtectedResources } from './protected-resources.ts'
import type { Revocations } from './revocations.ts'
import { TopicAccess } from './topics/index.ts'

export interface AuthorizersOptions {
  readonly config: Pick<
    Config,
    | 'clockToleranceSeconds'
    | 'introspectionCacheMs'
    | 'maxTokenLifetimeSeconds'
    | 'paths'
    | 'queryTokens'
    | 'tokenAlgorithms'
    | 'tokenCookie'
  >
  /** Gets a resource for each path and route. */
  readonly resources: ProtectedResources
  readonly revocations: Pick<Revocations, 'cover'>
  readonly unusable: UnusableKeys
  readonly clock: Clock
}

/** How a route gets the token of a request, and who may use the route. */
export interface Admission {
  readonly sources: CredentialSources
  readonly authorizer: TokenAuthorizer
}

/** The admission of a path of events. */
export interface StreamAdmission extends Admission {
  readonly authorizer: Authorizer
  /** Undefined if the path sends the same events to all clients. */
  readonly topics: TopicAccess | undefined
}

type IssuerRule = PathRule['issuers'][0]

/** Makes the authorizers of the configured paths and of the routes for administrators. */
export class Authorizers {
  /** The admissions of the configured paths. */
  readonly streams: ReadonlyMap<string, StreamAdmission>
  readonly #options: AuthorizersOptions
  readonly #rules: readonly PathRule[]
  readonly #sources = new Map<string, TrustedIssuer['source']>()

  constructor(options: AuthorizersOptions) {
    this.#options = options
    const { paths } = options.config
    this.#rules = Object.values(paths)
    this.streams = new Map(
      Object.entries(paths).map(([path, rule]) => {
        const challenge = options.resources.add(path, rule)
        return [path, this.#streamAdmission(rule, challenge)]
      }),
    )
  }

  /** Returns the admission of the streams of a configured path. */
  ofStreams(path: string): StreamAdmission {
    return this.streams.get(path) as StreamAdmission
  }

  /** Returns the admission of the route on which the topics of a path are published. */
  ofPublishing(route: string, rule: PathRule): StreamAdmission {
    return this.#streamAdmission(rule, this.#options.resources.add(route, rule))
  }

  /** Returns the admission of a route that accepts the tokens of every path, with these changes of the paths' rules. */
  ofAllPaths(
    route: string,
    changes: Pick<PathRule, 'scopes'> & Partial<Pick<PathRule, 'expiry'>>,
  ): Admission {
    const { config, resources } = this.#options
    const issuers = this.#rules.flatMap((rule) => rule.issuers)
    const challenge = resources.add(route, { issuers, scopes: changes.scopes })
    const authorizers = this.#rules.map((rule) =>
      this.#authorizerOf({ ...rule, topics: undefined, ...changes }, challenge, config.clockToleranceSeconds),
    )
    return this.#admission(challenge, authorizerOfAny(authorizers))
  }

  /** Whether an issuer is asked about its tokens. */
  get introspect(): boolean {
    return this.#rules.some(({ issuers }) => issuers.some(({ introspection }) => introspection))
  }

  /** Whether the issuer's administrators act for all issuers, and not only for their own. */
  administersAll(issuer: string): boolean {
    return this.#rules.some(({ issuers }) =>
      issuers.some((one) => one.issuer === issuer && one.administers === 'all'),
    )
  }

  /**
   * Returns how long a revocation of tokens of an issuer (or of any) is kept, in milliseconds: until all tokens that it can
   * cover are rejected anyway.
   *
   * A token that was issued by the time of the revocation has an `iat` of at most that plus the tolerance, an `exp` of at most
   * the longest lifetime later, and is accepted for the tolerance after it. This holds only if all tokens have both. Without
   * `exp`, a token never expires. Without `iat`, the verifier limits `exp` relative to the time of use: a token with an `exp`
   * far away is rejected at first, but accepted when its `exp` comes near, long after the revocation.
   */
  revocationKeepMs(issuer: string | undefined): number {
    const { clockToleranceSeconds, maxTokenLifetimeSeconds } = this.#options.config
    const rules = this.#rules.filter(
      ({ issuers }) => issuer === undefined || issuers.some((one) => one.issuer === issuer),
    )
    return rules.every(({ expiry, issuedAt }) => expiry === 'required' && issuedAt === 'required')
      ? (maxTokenLifetimeSeconds + 2 * clockToleranceSeconds) * 1_000
      : Number.POSITIVE_INFINITY
  }

  #streamAdmission(rule: PathRule, challenge: Challenge): StreamAdmission {
    return {
      ...this.#admission(challenge, this.#authorizerOf(rule, challenge, 0)),
      topics: rule.topics && new TopicAccess(rule.topics, challenge),
    }
  }

  #admission<A extends TokenAuthorizer>(challenge: Challenge, authorizer: A) {
    const { queryTokens, tokenCookie } = this.#options.config
    return { authorizer, sources: { challenge, queryTokens, cookie: tokenCookie } }
  }

  #authorizerOf(rule: PathRule, challenge: Challenge, expiryLeewaySeconds: number): Authorizer {
    const { clock, config, revocations } = this.#options
    const rules = {
      ...rule,
      issuers: rule.issuers.map((issuer) => ({ ...issuer, source: this.#sourceOf(issuer) })),
      algorithms: config.tokenAlgorithms,
      maxLifetimeSeconds: config.maxTokenLifetimeSeconds,
      leewaySeconds: config.clockToleranceSeconds,
      expiryLeewaySeconds,
    }
    return new Authorizer(rules, challenge, revocations, clock)
  }

  /** One source for all paths and routes: an issuer is asked once, however many of them accept its tokens. */
  #sourceOf({ issuer, introspection, jwksFile, jwksUrl }: IssuerRule): TrustedIssuer['source'] {
    const name = JSON.stringify([issuer, introspection, jwksFile, jwksUrl])
    const known = this.#sources.get(name)
    if (known) return known
    const { clock, config, unusable } = this.#options
    const source = introspection
      ? {
          introspection: new Introspection({
            ...introspection,
            issuer,
            clientSecretFile: introspection.clientSecretFile,
            cacheMs: config.introspectionCacheMs,
            clock,
          }),
        }
      : {
          keys: remoteKeys({
            issuer,
            ...issuerKeys({ issuer, jwksFile, jwksUrl, unusable }),
            algorithms: config.tokenAlgorithms,
            clock,
          }),
        }
    this.#sources.set(name, source)
    return source
  }
}
