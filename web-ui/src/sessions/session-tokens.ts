import type { Clock } from '@hallpass/service-kit'
import { LoginRefused, type Tokens } from '../provider/index.ts'
import type { AccessSummary } from './visitor.ts'

/** The remaining lifetime at which a token is renewed, or a quarter of its lifetime if that is shorter. */
const REFRESH_AHEAD_MS = 30_000
/** The delay between attempts while the provider is unavailable. */
const RETRY_AFTER_MS = 5_000

/**
 * The tokens of one session. Renews the access token before it expires, with one request at a time: a refresh token works
 * once, and a provider that receives one twice ends the session (RFC 9700 §4.14.2).
 */
export class SessionTokens {
  readonly #renew: (refreshToken: string) => Promise<Tokens>
  readonly #clock: Clock
  #accessToken: string
  #refreshToken: string | undefined
  #scope: string | undefined
  #idToken: string | undefined
  #expiresAt: number
  #refreshAt: number
  #refreshes = 0
  #renewing: Promise<void> | undefined

  /** @param renew requests new tokens; must reject those of another subject. */
  constructor(tokens: Tokens, renew: (refreshToken: string) => Promise<Tokens>, clock: Clock) {
    this.#renew = renew
    this.#clock = clock
    this.#accessToken = tokens.accessToken
    this.#refreshToken = tokens.refreshToken
    this.#scope = tokens.scope
    this.#idToken = tokens.idToken
    ;[this.#expiresAt, this.#refreshAt] = this.#lifeOf(tokens)
  }

  /**
   * Returns the access token, renewed if necessary, or undefined if there is no valid one.
   * @throws {LoginRefused} if the provider has ended the session.
   */
  async access(): Promise<string | undefined> {
    if (this.#clock() >= this.#refreshAt && this.#refreshToken !== undefined) {
      this.#renewing ??= this.#renewOnce(this.#refreshToken).finally(() => {
        this.#renewing = undefined
      })
      await this.#renewing
    }
    return this.#clock() < this.#expiresAt ? this.#accessToken : undefined
  }

  get refreshToken(): string | undefined {
    return this.#refreshToken
  }

  /** The latest ID token, which identifies the session to end at the provider. */
  get idToken(): string | undefined {
    return this.#idToken
  }

  get summary(): AccessSummary {
    return {
      expiresAt: Number.isFinite(this.#expiresAt) ? this.#expiresAt : undefined,
      scope: this.#scope,
      canRefresh: this.#refreshToken !== undefined,
      refreshes: this.#refreshes,
    }
  }

  async #renewOnce(refreshToken: string): Promise<void> {
    try {
      const tokens = await this.#renew(refreshToken)
      this.#accessToken = tokens.accessToken
      // Without rotation the provider sends none, and the old one stays valid (RFC 6749 §6).
      this.#refreshToken = tokens.refreshToken ?? refreshToken
      this.#scope = tokens.scope ?? this.#scope
      this.#idToken = tokens.idToken ?? this.#idToken
      ;[this.#expiresAt, this.#refreshAt] = this.#lifeOf(tokens)
      this.#refreshes += 1
    } catch (error) {
      if (error instanceof LoginRefused) throw error
      // The provider is unavailable. The old token may still be valid.
      this.#refreshAt = this.#clock() + RETRY_AFTER_MS
    }
  }

  #lifeOf({ expiresInSeconds }: Tokens): [expiresAt: number, refreshAt: number] {
    if (expiresInSeconds === undefined) return [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
    const life = expiresInSeconds * 1000
    const expiresAt = this.#clock() + life
    return [expiresAt, expiresAt - Math.min(REFRESH_AHEAD_MS, life / 4)]
  }
}
