import { isLoopback, PeerError } from '@hallpass/service-kit'
import { fetchOver, lazyPeerClient } from '@hallpass/service-kit/peers'
import type * as Library from 'openid-client'
import type { LoginAttempt } from './login-attempt.ts'

export interface OpenidClientOptions {
  readonly issuerUrl: string
  readonly clientId: string
  /** Absent where only the provider's name and keys are asked for. */
  readonly clientSecret?: () => string
  /** `https://…/callback`, as registered at the provider. */
  readonly redirectUri: string
  /** Where the provider sends the browser after it has ended its session; registered there too. */
  readonly postLogoutRedirectUri?: string
  readonly audience?: string | undefined
  readonly scope?: string
}

/** What the provider's token endpoint gave; for this service alone. */
export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string | undefined
  readonly expiresInSeconds: number | undefined
  readonly scope: string | undefined
  /** The ID token itself, for the provider alone: it says whose session to end. A refresh may come without one. */
  readonly idToken: string | undefined
  /** Its claims. */
  readonly claims: Readonly<Record<string, unknown>> | undefined
}

/** The provider said no, or what it said cannot be trusted. Never carries a code, a state or a token. */
export class LoginRefused extends Error {
  /** The name that OAuth has for it, or the library's. */
  readonly code: string
  /** True when the user or the provider declined, false when the answer itself is not sound. */
  readonly declined: boolean

  constructor(code: string, message: string, declined: boolean) {
    super(message)
    this.name = 'LoginRefused'
    this.code = code
    this.declined = declined
  }
}

const PEER = 'identity-provider'
/** For each call; the library's own limit comes after it, because it could not say who was late. */
const TIMEOUT_MS = 5_000
const LIBRARY_TIMEOUT_S = 10
/** An ID token that is handed back stands in a URL; servers take some 8 KB of it. Without a longer one the provider asks. */
const MAX_HINT_LENGTH = 4_096

/** Loaded when the first person logs in: with what it needs in turn it takes some megabytes, and most only look around. */
let oidc: typeof Library

/**
 * This service as a client of an OpenID provider: code flow with PKCE (S256), `state`, `nonce`, the issuer of the
 * response (RFC 9207), the signature of the ID token. All of it is checked whatever the provider supports.
 */
export class OpenidClient {
  readonly #options: OpenidClientOptions
  #discovered: Promise<Library.Configuration> | undefined

  constructor(options: OpenidClientOptions) {
    this.#options = options
  }

  /** @returns where to send the browser, and what to remember until it comes back. */
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
   * Redeems the code that the browser brought back.
   * @param query the query of the callback, as it came.
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

  /** @throws {LoginRefused} when the session at the provider is over. @throws {PeerError} */
  async refresh(refreshToken: string): Promise<Tokens> {
    const config = await this.#configuration()
    return this.#exchange(() => oidc.refreshTokenGrant(config, refreshToken, this.#resource()))
  }

  /** Tells the provider that a refresh token is of no use any more (RFC 7009); it is no loss when that fails. */
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
   * Where the browser goes to end its session at the provider, if there is such a place.
   * @param idToken of that session, so that the provider need not ask whether it is meant (RP-Initiated Logout 1.0 §2).
   */
  async endSessionUrl(idToken?: string): Promise<URL | undefined> {
    const config = await this.#configuration()
    if (config.serverMetadata().end_session_endpoint === undefined) return undefined
    const { postLogoutRedirectUri } = this.#options
    return oidc.buildEndSessionUrl(config, {
      ...(postLogoutRedirectUri === undefined ? {} : { post_logout_redirect_uri: postLogoutRedirectUri }),
      ...(idToken !== undefined && idToken.length <= MAX_HINT_LENGTH ? { id_token_hint: idToken } : {}),
    })
  }

  /** The exact name of the issuer, and where its keys are. */
  async issuer(): Promise<{ issuer: string; jwksUrl: string | undefined }> {
    const { issuer, jwks_uri } = (await this.#configuration()).serverMetadata()
    return { issuer, jwksUrl: jwks_uri }
  }

  /** The API that the access token is for: `resource` (RFC 8707), and `audience`, which is Auth0's name for it. */
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

  /** Asked once; until it has answered, every login asks again. */
  #configuration(): Promise<Library.Configuration> {
    this.#discovered ??= this.#discover().catch((error: unknown) => {
      this.#discovered = undefined
      throw this.#refusal(error)
    })
    return this.#discovered
  }

  async #discover(): Promise<Library.Configuration> {
    oidc = await import('openid-client')
    const { issuerUrl, clientId, clientSecret } = this.#options
    const url = new URL(issuerUrl)
    return oidc.discovery(
      url,
      clientId,
      {},
      clientSecret ? oidc.ClientSecretBasic(clientSecret()) : oidc.None(),
      {
        timeout: LIBRARY_TIMEOUT_S,
        // Codes, secrets and refresh tokens travel here.
        [oidc.customFetch]: fetchOver(
          lazyPeerClient({ peer: PEER, timeoutMs: TIMEOUT_MS, confidential: true }),
        ) as Library.CustomFetch,
        execute: [
          // The signature of the ID token is checked although TLS has brought it (OpenID Connect Core §3.1.3.7, 6).
          oidc.enableNonRepudiationChecks,
          ...(url.protocol === 'http:' && isLoopback(url.hostname) ? [oidc.allowInsecureRequests] : []),
        ],
      },
    )
  }

  /** The library's errors carry whole answers, tokens included, as their cause; none of that leaves this file. */
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
    // The library's outer message is general; the inner one says which parameter is wrong, and never its value.
    return new LoginRefused(
      code || 'invalid_response',
      cause instanceof Error ? cause.message : message,
      false,
    )
  }
}
