import {
  type Clock,
  isKeyNotLoaded,
  isUnusableKeySet,
  type Logger,
  PeerError,
  type UnusableKeys,
} from '@hallpass/service-kit'
import { fetchOver, lazyPeerClient } from '@hallpass/service-kit/peers'
import { type Claims, type SignatureAlgorithm, TokenError } from '@hallpass/tokens'
import type * as Library from 'openid-client'
import { type ClientAuth, clientAuthFor } from './client-auth.ts'
import { IdTokens } from './id-tokens.ts'
import { discover, type ProviderAddress } from './metadata.ts'
import { LoginRefused, PEER, refusal } from './refusals.ts'
import { call, callAuthenticated, LIBRARY_TIMEOUT_S, refreshedIdToken } from './token-endpoint.ts'
import { hasName, shownClaims } from './user-info.ts'

export interface OpenidClientOptions extends ProviderAddress {
  readonly clientId: string
  readonly clientAuth: ClientAuth
  /** `https://…/callback`, as registered at the provider. */
  readonly redirectUri: string
  /** The URL to which the provider redirects after logout, as registered there. */
  readonly postLogoutRedirectUri?: string
  /** The API to request access tokens for, at providers that read the parameter `audience` (Auth0). */
  readonly audience?: string | undefined
  /** The API to request access tokens for, at providers that support resource indicators (RFC 8707). */
  readonly resource?: string | undefined
  readonly scope?: string
  /** The accepted algorithms of ID tokens. */
  readonly algorithms: readonly SignatureAlgorithm[]
  /** Tolerated clock skew of the provider, for the times of its ID tokens. */
  readonly leewaySeconds: number
  readonly unusable: UnusableKeys
  readonly log: Logger
  readonly clock: Clock
}

/** The data of a login that the callback must match. */
export interface LoginAttempt {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  readonly returnTo: string
}

/** The tokens from the provider, which stay in this service. */
export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string | undefined
  readonly expiresInSeconds: number | undefined
  readonly scope: string | undefined
  /** The ID token, which identifies the session to end at the provider. A refresh may return none. */
  readonly idToken: string | undefined
  /** Its verified claims, at login with those of UserInfo that name the user. */
  readonly claims: Claims | undefined
}

/** A logout request, which the browser must send to the provider. */
export interface EndSession {
  /** The provider's endpoint, which may have a query of its own. */
  readonly endpoint: URL
  readonly parameters: Readonly<Record<string, string>>
}

/** For UserInfo, for which a login waits although it works without. */
const USER_INFO_TIMEOUT_MS = 2_000
/** Loaded at the first login, because it takes some megabytes and many visitors never log in. */
let oidc: typeof Library

const callUserInfo = fetchOver(
  lazyPeerClient({ peer: PEER, timeoutMs: USER_INFO_TIMEOUT_MS, confidential: true }),
)

/**
 * An OpenID client: code flow with PKCE (S256), `state`, `nonce` and the issuer of the response (RFC 9207) by the library, the
 * ID token by our own verifier. It makes all these checks, whatever the provider supports.
 */
export class OpenidClient {
  /** The verifier of this provider's tokens. */
  readonly idTokens: IdTokens
  readonly #options: OpenidClientOptions
  #discovered: Promise<Library.Configuration> | undefined

  constructor(options: OpenidClientOptions) {
    this.#options = options
    this.idTokens = new IdTokens({ ...options, issuer: () => this.#issuer() })
  }

  /** Starts a login. @returns the URL to redirect to, and the data that the callback must match. */
  async begin(returnTo: string): Promise<{ url: URL; attempt: LoginAttempt }> {
    const config = await this.#configuration()
    const attempt = {
      state: oidc.randomState(),
      nonce: oidc.randomNonce(),
      codeVerifier: oidc.randomPKCECodeVerifier(),
      returnTo,
    }
    const url = oidc.buildAuthorizationUrl(config, {
      response_type: 'code',
      redirect_uri: this.#options.redirectUri,
      scope: this.#options.scope ?? 'openid',
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(attempt.codeVerifier),
      code_challenge_method: 'S256',
      ...(this.#options.audience === undefined ? {} : { audience: this.#options.audience }),
      ...this.#resource(),
    })
    return { url, attempt }
  }

  /**
   * Redeems the authorization code of a callback.
   * @param query the unchanged query of the callback.
   * @throws {LoginRefused} @throws {PeerError}
   */
  async finish(query: string, attempt: LoginAttempt): Promise<Tokens> {
    const config = await this.#configuration()
    const url = new URL(this.#options.redirectUri)
    url.search = query
    const { idToken, ...tokens } = await this.#exchange(() =>
      oidc.authorizationCodeGrant(
        config,
        url,
        {
          expectedState: attempt.state,
          expectedNonce: attempt.nonce,
          pkceCodeVerifier: attempt.codeVerifier,
          idTokenExpected: true,
        },
        this.#resource(),
      ),
    )
    if (idToken === undefined)
      throw new LoginRefused('no_id_token', 'the response contains no ID token', false)
    const claims = await this.#verify(idToken)
    const named = hasName(claims)
      ? claims
      : { ...claims, ...(await this.#userInfo(config, tokens.accessToken, claims)) }
    return { ...tokens, idToken, claims: named }
  }

  /**
   * Renews tokens. If the keys of the provider cannot be loaded, its new ID token is left out: the new refresh token must not
   * be lost, because the old one may no longer work.
   * @param sub the subject of the login, which a renewed ID token must have (OpenID Connect Core §12.2).
   * @throws {LoginRefused} `invalid_grant` if the provider's session has ended, `other_subject`, or another code. @throws {PeerError}
   */
  async refresh(refreshToken: string, sub: string): Promise<Tokens> {
    const config = await this.#configuration()
    const { idToken, ...tokens } = await this.#exchange(() =>
      oidc.refreshTokenGrant(config, refreshToken, this.#resource()),
    )
    const withoutIdToken = { ...tokens, idToken: undefined, claims: undefined }
    if (idToken === undefined) return withoutIdToken
    try {
      const claims = await this.#verify(idToken)
      if (claims.sub !== sub)
        throw new LoginRefused('other_subject', 'the renewed ID token has another subject', false)
      return { ...tokens, idToken, claims }
    } catch (error) {
      if (error instanceof PeerError || isUnusableKeySet(error) || isKeyNotLoaded(error)) {
        this.#options.log.warn(`renewed ID token not used: ${error.message}`)
        return withoutIdToken
      }
      if (!(error instanceof LoginRefused)) throw error
      const { code, message, declined } = error
      throw new LoginRefused(code, message, declined, { rotatedRefreshToken: tokens.refreshToken })
    }
  }

  /** Revokes a refresh token at the provider (RFC 7009). A failure is harmless. */
  async revoke(refreshToken: string): Promise<void> {
    const config = await this.#configuration()
    if (config.serverMetadata().revocation_endpoint === undefined) return
    await oidc
      .tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' })
      .catch((error: unknown) => {
        throw this.#refused(error)
      })
  }

  /**
   * Returns the request that ends a session at the provider, or undefined if the provider has no endpoint for it.
   * @param idToken of the session, also an expired one, so that the provider need not ask the user (RP-Initiated Logout 1.0 §2).
   * @throws {PeerError}
   */
  async endSession(idToken?: string): Promise<EndSession | undefined> {
    const config = await this.#configuration()
    const { end_session_endpoint } = config.serverMetadata()
    if (end_session_endpoint === undefined) return undefined
    const { postLogoutRedirectUri } = this.#options
    const endpoint = new URL(end_session_endpoint)
    // Adds `client_id`.
    const url = oidc.buildEndSessionUrl(config, {
      ...(postLogoutRedirectUri === undefined ? {} : { post_logout_redirect_uri: postLogoutRedirectUri }),
      ...(idToken === undefined ? {} : { id_token_hint: idToken }),
    })
    const added = [...url.searchParams].filter(([name]) => !endpoint.searchParams.has(name))
    return { endpoint, parameters: Object.fromEntries(added) }
  }

  /** Returns the exact name of the issuer and the URL of its keys. */
  async #issuer(): Promise<{ issuer: string; jwksUrl: string | undefined }> {
    const { issuer, jwks_uri } = (await this.#configuration()).serverMetadata()
    return { issuer, jwksUrl: jwks_uri }
  }

  /** Returns the parameter that names the API (RFC 8707 §2). */
  #resource(): Record<string, string> {
    const { resource } = this.#options
    return resource === undefined ? {} : { resource }
  }

  async #exchange(
    ask: () => Promise<Library.TokenEndpointResponse & Library.TokenEndpointResponseHelpers>,
  ): Promise<Omit<Tokens, 'claims'>> {
    const answer = await ask().catch((error: unknown) => {
      throw this.#refused(error)
    })
    return {
      accessToken: answer.access_token,
      refreshToken: answer.refresh_token,
      expiresInSeconds: answer.expiresIn(),
      scope: answer.scope,
      idToken: answer.id_token ?? refreshedIdToken(answer),
    }
  }

  /** @throws {LoginRefused} if the token is refused. @throws {PeerError} @throws {KeySetError} if there are no keys to verify it with. */
  async #verify(idToken: string): Promise<Claims> {
    try {
      return await this.idTokens.verify(idToken, 'tokenEndpoint')
    } catch (error) {
      if (error instanceof TokenError)
        throw new LoginRefused(error.reason, `the ID token is refused: ${error.message}`, false)
      throw error
    }
  }

  /** Asks for the user's name once. A login works without it, so a failure is only logged. */
  async #userInfo(config: Library.Configuration, accessToken: string, claims: Claims): Promise<Claims> {
    const { userinfo_endpoint } = config.serverMetadata()
    if (userinfo_endpoint === undefined) return {}
    try {
      const headers = { authorization: `Bearer ${accessToken}`, accept: 'application/json' }
      return await shownClaims(await callUserInfo(userinfo_endpoint, { headers }), claims)
    } catch (error) {
      this.#options.log.warn(`UserInfo not used, the user's name is unknown: ${(error as Error).message}`)
      return {}
    }
  }

  /** Fetches the provider's metadata once. After a failure the next login tries again. */
  #configuration(): Promise<Library.Configuration> {
    this.#discovered ??= this.#discover().catch((error: unknown) => {
      this.#discovered = undefined
      throw error
    })
    return this.#discovered
  }

  async #discover(): Promise<Library.Configuration> {
    oidc = await import('openid-client')
    const { clientId, clientAuth, algorithms, issuerUrl, backChannelUrl, clock } = this.#options
    const metadata = await discover(this.#options, call)
    const config = new oidc.Configuration(
      { ...metadata, id_token_signing_alg_values_supported: namesOf(algorithms) },
      clientId,
      // Our verifier checks the times, with its clock and its tolerance.
      { [oidc.clockTolerance]: Number.MAX_SAFE_INTEGER },
      clientAuthFor(oidc, clientAuth, metadata, clientId, clock),
    )
    config.timeout = LIBRARY_TIMEOUT_S
    config[oidc.customFetch] = callAuthenticated(issuerUrl) as Library.CustomFetch
    // The configuration accepts such an address only on this machine or in a mesh, and `discover` only endpoints like it.
    if ([issuerUrl, backChannelUrl].some((address) => address?.startsWith('http:')))
      oidc.allowInsecureRequests(config)
    return config
  }

  #refused(error: unknown): Error {
    return refusal(oidc, error, this.#options.issuerUrl)
  }
}

/** Returns every name of the algorithms: the library must accept what our verifier accepts. `EdDSA` has a second one (RFC 9864). */
const namesOf = (algorithms: readonly SignatureAlgorithm[]): string[] => [
  ...algorithms,
  ...(algorithms.includes('EdDSA') ? ['Ed25519'] : []),
]
