import type { Clock } from '@hallpass/service-kit'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'

/** Whom the tokens are for: the gateway in front of the events. */
const GATEWAY_AUDIENCE = 'https://api.example.com'
/** Short enough that a reader of the explorer sees a stream renewed, long enough not to be busy with it. */
const LIFETIME_SECONDS = 60

/**
 * Tokens that let one watcher of the explorer read the hops: signed here, for one visitor each, and verified by the
 * gateway with the key set that this service publishes. No page ever holds one.
 */
export class WatcherTokens {
  readonly #issuer: string
  readonly #clock: Clock
  #key: SigningKey | undefined

  /** @param issuer the base URL of this service, at which its key set is found. */
  constructor(issuer: string, clock: Clock) {
    this.#issuer = issuer
    this.#clock = clock
  }

  /** The key lives as long as the process; verifiers find the next one by its id. */
  async makeKey(): Promise<void> {
    this.#key = await generateSigningKey('ES256')
  }

  get keySet() {
    return publicJwks(this.#key ? [this.#key] : [])
  }

  async issue(subject: string): Promise<string> {
    if (!this.#key) throw new Error('The key of the watchers is not made yet.')
    return signToken(
      { iss: this.#issuer, sub: subject, aud: GATEWAY_AUDIENCE, scope: 'hops:read' },
      this.#key,
      {
        lifetimeSeconds: LIFETIME_SECONDS,
        clock: this.#clock,
      },
    )
  }
}
