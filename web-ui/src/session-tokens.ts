import type { Clock } from '@hallpass/service-kit'
import { LoginRefused, type Tokens } from './openid-client.ts'
import type { AccessSummary } from './visitor.ts'

/** A token is renewed when less than this is left, or a quarter of its life where that is shorter. */
const REFRESH_AHEAD_MS = 30_000
/** While the provider is away, it is not asked at every request. */
const RETRY_AFTER_MS = 5_000

/**
 * The tokens of one session. The access token is renewed before it ends, by one request at a time: refresh tokens are
 * good once, and a provider that sees one twice ends the session (RFC 9700 §4.14.2).
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

  /** @param renew asks the provider; must refuse an answer about another user. */
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
   * The access token, renewed where needed; `undefined` when there is none that is still good.
   * @throws {LoginRefused} when the provider has ended the session.
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

  /** The latest ID token: by it the provider knows the session that it is to end. */
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
      // A provider that does not rotate sends none; the old one stays good (RFC 6749 §6).
      this.#refreshToken = tokens.refreshToken ?? refreshToken
      this.#scope = tokens.scope ?? this.#scope
      this.#idToken = tokens.idToken ?? this.#idToken
      ;[this.#expiresAt, this.#refreshAt] = this.#lifeOf(tokens)
      this.#refreshes += 1
    } catch (error) {
      if (error instanceof LoginRefused) throw error
      // The provider is away. What is left of the old token is still good.
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
