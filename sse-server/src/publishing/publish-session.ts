import { type Clock, HttpError, scopesOf } from '@hallpass/service-kit'
import { PUBLISH_SCOPE, type TokenGuard } from '../access/index.ts'
import type { Publisher } from './publisher.ts'

const BEARER = /^bearer +(\S+)$/i

/**
 * Authorizes one TCP connection. If publishers need a token, the first object must be `{"authorization": "Bearer …"}`.
 * It is valid until the token expires, and another one can be sent at any time.
 */
export class PublishSession {
  readonly #publisher: Publisher
  readonly #guard: TokenGuard | undefined
  readonly #clock: Clock
  #expiresAt: Promise<number>
  #authorized: boolean

  constructor(publisher: Publisher, guard: TokenGuard | undefined, clock: Clock) {
    this.#publisher = publisher
    this.#guard = guard
    this.#clock = clock
    this.#authorized = guard === undefined
    this.#expiresAt = Promise.resolve(guard ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY)
  }

  /** Returns whether it is or ever was allowed to publish. */
  get authorized(): boolean {
    return this.#authorized
  }

  /** Publishes an object or accepts a token. Objects are handled in call order, even while a token is being verified. */
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
            'The token has expired. Send {"authorization": "Bearer …"} with a new token.',
          )
        : new HttpError(
            401,
            'no_token',
            'Publishing requires a token. Send {"authorization": "Bearer …"} first.',
          )
    await this.#publisher.publish(object)
  }

  /** Returns when the permission to publish expires, in milliseconds since the epoch. */
  async #authorize(authorization: unknown): Promise<number> {
    if (!this.#guard) return Number.POSITIVE_INFINITY
    const [, token] = (typeof authorization === 'string' && BEARER.exec(authorization)) || []
    if (token === undefined) throw new HttpError(401, 'no_token', 'authorization must be "Bearer <token>".')
    const { claims } = await this.#guard(token)
    if (!scopesOf(claims).includes(PUBLISH_SCOPE))
      throw new HttpError(403, 'insufficient_scope', `The token needs the scope ${PUBLISH_SCOPE}.`)
    this.#authorized = true
    return (claims.exp as number) * 1000
  }
}
