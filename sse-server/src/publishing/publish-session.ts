import { type Clock, HttpError, scopesOf } from '@hallpass/service-kit'
import type { Publisher } from './publisher.ts'
import { PUBLISH_SCOPE, type PublisherGuard } from './publisher-guard.ts'

const BEARER = /^bearer +(\S+)$/i

/**
 * What one TCP connection may do. Where publishers need a token, the first object is
 * `{"authorization": "Bearer …"}`; it counts until the token expires, and another one may follow at any time.
 */
export class PublishSession {
  readonly #publisher: Publisher
  readonly #guard: PublisherGuard | undefined
  readonly #clock: Clock
  #expiresAt: Promise<number>
  #authorized: boolean

  constructor(publisher: Publisher, guard: PublisherGuard | undefined, clock: Clock) {
    this.#publisher = publisher
    this.#guard = guard
    this.#clock = clock
    this.#authorized = guard === undefined
    this.#expiresAt = Promise.resolve(guard ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY)
  }

  /** Whether it may publish, or once could. */
  get authorized(): boolean {
    return this.#authorized
  }

  /** Objects are taken in the order of the calls, also while a token is being verified. */
  async take(object: Readonly<Record<string, unknown>>): Promise<void> {
    const { authorization, ...rest } = object
    if (authorization !== undefined && Object.keys(rest).length === 0) {
      const before = this.#expiresAt
      const granted = before.then(
        () => this.#authorize(authorization),
        () => this.#authorize(authorization),
      )
      this.#expiresAt = granted
      await granted
      return
    }
    const expiresAt = await this.#expiresAt.catch(() => Number.NEGATIVE_INFINITY)
    if (this.#clock() >= expiresAt)
      throw Number.isFinite(expiresAt)
        ? new HttpError(
            401,
            'token_expired',
            'The token has expired; send a new {"authorization": "Bearer …"}.',
          )
        : new HttpError(
            401,
            'no_token',
            'Publishing needs a token: send {"authorization": "Bearer …"} first.',
          )
    await this.#publisher.publish(object)
  }

  /** Milliseconds since the epoch at which the right to publish ends. */
  async #authorize(authorization: unknown): Promise<number> {
    if (!this.#guard) return Number.POSITIVE_INFINITY
    const [, token] = (typeof authorization === 'string' && BEARER.exec(authorization)) || []
    if (token === undefined)
      throw new HttpError(401, 'no_token', 'authorization must be "Bearer " and a token.')
    const { claims } = await this.#guard(token)
    if (!scopesOf(claims).includes(PUBLISH_SCOPE))
      throw new HttpError(403, 'insufficient_scope', `The token needs the scope ${PUBLISH_SCOPE}.`)
    this.#authorized = true
    return (claims.exp as number) * 1000
  }
}
