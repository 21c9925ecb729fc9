import type { Clock } from '@hallpass/service-kit'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'

/** The audience of the tokens: the gateway in front of the events. */
const GATEWAY_AUDIENCE = 'https://api.example.com'
/** The scope of a token: reading the hops, or administering the gateway's streams. */
export type WatcherScope = 'hops:read' | 'stream:revoke'
/** Short enough to show how a stream is renewed in the explorer, long enough to cost little. */
const LIFETIME_SECONDS = 60

/**
 * Signs tokens for single watchers of the explorer to read the hops. The gateway verifies them with the JWKS that this
 * service publishes. No page ever receives one.
 */
export class WatcherTokens {
  readonly #issuer: string
  readonly #clock: Clock
  readonly #key: SigningKey

  private constructor(issuer: string, key: SigningKey, clock: Clock) {
    this.#issuer = issuer
    this.#key = key
    this.#clock = clock
  }

  /**
   * Creates the key, which exists as long as the process; verifiers find the next one by its key ID.
   * @param issuer the base URL of this service, where its JWKS is published
   */
  static async create(issuer: string, clock: Clock): Promise<WatcherTokens> {
    return new WatcherTokens(issuer, await generateSigningKey('ES256'), clock)
  }

  get keySet() {
    return publicJwks([this.#key])
  }

  async issue(subject: string, scope: WatcherScope = 'hops:read'): Promise<string> {
    return this.#sign({ iss: this.#issuer, sub: subject, scope })
  }

  /** Signs a token of another issuer with a key that the issuer does not have, to show how it is rejected. */
  async forge(issuer: string, scope: string): Promise<string> {
    return this.#sign({ iss: issuer, sub: 'forger', scope })
  }

  /** Returns the claims of a forged token, for a command that forges one. */
  forgedClaims(issuer: string, scope: string): Readonly<Record<string, unknown>> {
    return { iss: issuer, sub: 'forger', scope, aud: GATEWAY_AUDIENCE }
  }

  async #sign(claims: Readonly<Record<string, unknown>>): Promise<string> {
    return signToken({ ...claims, aud: GATEWAY_AUDIENCE }, this.#key, {
      lifetimeSeconds: LIFETIME_SECONDS,
      clock: this.#clock,
    })
  }
}
