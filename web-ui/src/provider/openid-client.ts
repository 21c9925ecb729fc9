import { isLoopback, PeerError } from '@hallpass/service-kit'
import { fetchOver, lazyPeerClient } from '@hallpass/service-kit/peers'
import type * as Library from 'openid-client'

export interface OpenidClientOptions {
  readonly issuerUrl: string
  readonly clientId: string
  /** Undefined if only the provider's name and keys are needed. */
  readonly clientSecret?: string
  /** `https://…/callback`, as registered at the provider. */
  readonly redirectUri: string
  /** The URL to which the provider redirects after logout, as registered there. */
  readonly postLogoutRedirectUri?: string
  readonly audience?: string | undefined
  readonly scope?: string
  /** Tolerated clock skew of the provider, for the times of its ID tokens. */
  readonly leewaySeconds: number
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
  /** Its claims. */
  readonly claims: Readonly<Record<string, unknown>> | undefined
}

/** A logout request, which the browser must send to the provider. */
export interface EndSession {
  /** The provider's endpoint, which may have a query of its own. */
  readonly endpoint: URL
  readonly parameters: Readonly<Record<string, string>>
}

/** The provider declined a login, or its response failed verification. Never contains a code, a state or a token. */
export class LoginRefused extends Error {
  /** The error code of OAuth or of the client library. */
  readonly code: string
  /** True if the user or the provider declined, false if the response failed verification. */
  readonly declined: boolean

  constructor(code: string, message: string, declined: boolean) {
    super(message)
    this.name = 'LoginRefused'
    this.code = code
    this.declined = declined
  }
}

const PEER = 'identity-provider'
/** For each call. The library's own timeout is longer, because its error does not name the peer. */
const TIMEOUT_MS = 5_000
const LIBRARY_TIMEOUT_S = 10

/** Loaded at the first login, because it takes some megabytes and many visitors never log in. */
let oidc: typeof Library

/**
 * An OpenID client: code flow with PKCE (S256), `state`, `nonce`, the issuer of the response (RFC 9207), and the signature
 * of the ID token. It makes all these checks, whatever the provider supports.
 */
export class OpenidClient {
  readonly #options: OpenidClientOptions
  #discovered: Promise<Library.Configuration> | undefined

  constructor(options: OpenidClientOptions) {
    this.#options = options
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
      ...this.#resource({ auth0: true }),
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
    return this.#exchange(() =>
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
  }

  /** @throws {LoginRefused} if the provider's session has ended. @throws {PeerError} */
  async refresh(refreshToken: string): Promise<Tokens> {
    const config = await this.#configuration()
    return this.#exchange(() => oidc.refreshTokenGrant(config, refreshToken, this.#resource()))
  }

  /** Revokes a refresh token at the provider (RFC 7009). A failure is harmless. */
  async revoke(refreshToken: string): Promise<void> {
    const config = await this.#configuration()
    if (config.serverMetadata().revocation_endpoint === undefined) return
    await oidc
      .tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' })
      .catch((error: unknown) => {
        throw this.#refusal(error)
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
  async issuer(): Promise<{ issuer: string; jwksUrl: string | undefined }> {
    const { issuer, jwks_uri } = (await this.#configuration()).serverMetadata()
    return { issuer, jwksUrl: jwks_uri }
  }

  /** Returns the parameters that name the API: `resource` (RFC 8707), and Auth0's `audience`. */
  #resource({ auth0 = false } = {}): Record<string, string> {
    const { audience } = this.#options
    if (audience === undefined) return {}
    return { ...(URL.canParse(audience) ? { resource: audience } : {}), ...(auth0 ? { audience } : {}) }
  }

  async #exchange(
    ask: () => Promise<Library.TokenEndpointResponse & Library.TokenEndpointResponseHelpers>,
  ): Promise<Tokens> {
    const answer = await ask().catch((error: unknown) => {
      throw this.#refusal(error)
    })
    return {
      accessToken: answer.access_token,
      refreshToken: answer.refresh_token,
      expiresInSeconds: answer.expiresIn(),
      scope: answer.scope,
      idToken: answer.id_token,
      claims: answer.claims(),
    }
  }

  /** Fetches the provider's metadata once. After a failure the next login tries again. */
  #configuration(): Promise<Library.Configuration> {
    this.#discovered ??= this.#discover().catch((error: unknown) => {
      this.#discovered = undefined
      throw this.#refusal(error)
    })
    return this.#discovered
  }

  async #discover(): Promise<Library.Configuration> {
    oidc = await import('openid-client')
    const { issuerUrl, clientId, clientSecret, leewaySeconds } = this.#options
    const url = new URL(issuerUrl)
    return oidc.discovery(
      url,
      clientId,
      // The library's own default is 30 s.
      { [oidc.clockTolerance]: leewaySeconds },
      clientSecret ? oidc.ClientSecretBasic(clientSecret) : oidc.None(),
      {
        timeout: LIBRARY_TIMEOUT_S,
        // These calls carry codes, secrets and refresh tokens.
        [oidc.customFetch]: fetchOver(
          lazyPeerClient({ peer: PEER, timeoutMs: TIMEOUT_MS, confidential: true }),
        ) as Library.CustomFetch,
        execute: [
          // Verifies the signature of the ID token, although it comes over TLS (OpenID Connect Core §3.1.3.7, 6).
          oidc.enableNonRepudiationChecks,
          ...(url.protocol === 'http:' && isLoopback(url.hostname) ? [oidc.allowInsecureRequests] : []),
        ],
      },
    )
  }

  /** Converts an error of the library, whose cause can contain whole responses with tokens, to one without them. */
  #refusal(error: unknown): Error {
    const { code = '', message, cause } = error as { code?: string; message: string; cause?: unknown }
    if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError)
      return new LoginRefused(error.error, error.error_description ?? error.error, true)
    const peerError = [error, cause].find((one) => one instanceof PeerError)
    if (peerError) return peerError
    if (code === 'OAUTH_RESPONSE_IS_NOT_CONFORM' || code === 'OAUTH_RESPONSE_IS_NOT_JSON')
      return new PeerError(
        PEER,
        502,
        'peer_unexpected_answer',
        `${PEER} at ${this.#options.issuerUrl} sent an invalid response (${message}).`,
      )
    // The outer message is general; the inner one names the wrong parameter, but never its value.
    return new LoginRefused(
      code || 'invalid_response',
      cause instanceof Error ? cause.message : message,
      false,
    )
  }
}
