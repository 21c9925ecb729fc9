import type { Clock } from '@hallpass/service-kit'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'

/** Whom the tokens are for: the gateway in front of the events. */
const GATEWAY_AUDIENCE = 'https://api.example.com'
/** What a token is for: to read the hops, or to administer the gateway's streams. */
export type WatcherScope = 'hops:read' | 'stream:revoke'
/** Short enough that a reader of the explorer sees a stream renewed, long enough not to be busy with it. */
const LIFETIME_SECONDS = 60

/**
 * Tokens that let one watcher of the explorer read the hops: signed here, for one visitor each, and verified by the
 * gateway with the key set that this service publishes. No page ever holds one.
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
   * Makes the key, which lives as long as the process; verifiers find the next one by its id.
   * @param issuer the base URL of this service, at which its key set is found
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

  /** A token in the name of another issuer, signed with a key that this one does not have: to see it refused. */
  async forge(issuer: string, scope: string): Promise<string> {
    return this.#sign({ iss: issuer, sub: 'forger', scope })
  }

  /** What a forged token contains, for a command that forges one. */
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
