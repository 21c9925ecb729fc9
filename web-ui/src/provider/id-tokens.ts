import { type Clock, issuerKeys, observeVerification, type UnusableKeys } from '@hallpass/service-kit'
import {
  anySubject,
  type Claims,
  check,
  type KeyFinder,
  remoteKeys,
  type SignatureAlgorithm,
  type TokenVerification,
  verifyToken,
} from '@hallpass/tokens'
import type { ProviderAddress } from './metadata.ts'

export interface IdTokensOptions extends ProviderAddress {
  readonly clientId: string
  readonly algorithms: readonly SignatureAlgorithm[]
  /** Tolerated skew of the clocks of this service and the provider. */
  readonly leewaySeconds: number
  /** Returns the exact name of the issuer and the URL of its keys. @throws {PeerError} */
  readonly issuer: () => Promise<{ readonly issuer: string; readonly jwksUrl: string | undefined }>
  readonly unusable: UnusableKeys
  readonly clock: Clock
}

/** Whose tokens to trust, and with which keys: rules of `verifyToken`. */
export interface Trust {
  readonly issuer: string
  readonly keys: KeyFinder
  readonly algorithms: readonly SignatureAlgorithm[]
}

/**
 * The longest lifetime of an ID token. From the token endpoint: the most that a provider offers (Auth0), because it is used once.
 * From a gateway: a day, because it is a credential there, and gateways refresh it.
 */
const MAX_LIFETIME_S = { tokenEndpoint: 30 * 86_400, gateway: 86_400 } as const
/**
 * Characters. From the token endpoint: hundreds of groups; a session with it still fits into the store's largest entry (256 KB). From a
 * gateway: as much as servers accept in a header.
 */
const MAX_LENGTH = { tokenEndpoint: 64 * 1024, gateway: 8 * 1024 } as const
/**
 * The token endpoint itself says which of its tokens is the ID token, and some providers give it the claims of the access
 * token, `scope` included. What a gateway forwards could be either.
 */
const TOKEN_USE = { tokenEndpoint: 'any', gateway: 'id' } as const
/**
 * How soon after an unknown key the set may be loaded again. Short, because after a rotation each login fails until then; long
 * enough that made-up tokens at a gateway cause at most one request per second.
 */
const COOLDOWN_MS = 5_000

/** The authorized party, if there is one, is this client; a token for several audiences has one. */
const authorizedParty = (clientId: string) =>
  check('azp', 'OpenID Connect Core §3.1.3.7', (verification: TokenVerification) => {
    const { aud, azp } = verification.claims
    const isForSeveral = Array.isArray(aud) && aud.length > 1
    if (azp === undefined ? isForSeveral : azp !== clientId)
      throw verification.fail('audience_mismatch', `jwt azp invalid. expected: ${clientId}`)
  })

/** Verifies the ID tokens of the provider, wherever they come from. */
export class IdTokens {
  readonly #options: IdTokensOptions
  #found: Promise<Trust> | undefined

  constructor(options: IdTokensOptions) {
    this.#options = options
  }

  /** Returns the provider's exact name and its keys, fetched once. After a failure the next call tries again. @throws {PeerError} */
  find(): Promise<Trust> {
    this.#found ??= this.#ask().catch((error: unknown) => {
      this.#found = undefined
      throw error
    })
    return this.#found
  }

  /**
   * Verifies an ID token for this client (OpenID Connect Core §3.1.3.7).
   * @throws {TokenError} if it is refused, e.g. because it is an access token. @throws {PeerError} @throws {KeySetError}
   */
  async verify(token: string, from: keyof typeof MAX_LIFETIME_S): Promise<Claims> {
    const { clientId, leewaySeconds, clock } = this.#options
    const rules = {
      ...(await this.find()),
      audience: clientId,
      audienceList: 'contains',
      subject: anySubject,
      typ: ['JWT'],
      tokenUse: TOKEN_USE[from],
      maxLifetimeSeconds: MAX_LIFETIME_S[from],
      maxTokenLength: MAX_LENGTH[from],
      leewaySeconds,
      clock,
    } as const
    const { claims } = await observeVerification(token, () =>
      verifyToken(token, rules, [authorizedParty(clientId)]),
    )
    return claims
  }

  async #ask(): Promise<Trust> {
    const { algorithms, backChannelUrl, jwksUrl: configured, unusable, clock } = this.#options
    const { issuer, jwksUrl } = await this.#options.issuer()
    const source = issuerKeys({
      // Decides whether the keys may come unencrypted: as the operator has configured the address that is called.
      issuer: configured ?? backChannelUrl ?? issuer,
      jwksUrl,
      unusable,
    })
    return {
      issuer,
      keys: remoteKeys({ ...source, issuer, algorithms, cooldownMs: COOLDOWN_MS, clock }),
      algorithms,
    }
  }
}
