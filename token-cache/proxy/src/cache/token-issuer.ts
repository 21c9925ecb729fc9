import { HttpError, PeerError, type TraceContext } from '@hallpass/service-kit'
import { describeIdentity, type Identity } from '../identity/index.ts'
import type { CacheFigures } from './cache-figures.ts'
import { type CachedToken, type LifeRules, lifeOf, type Refusal } from './cached-token.ts'

/** The request for which a token is needed. */
export interface Asker {
  readonly requestId: string
  readonly trace?: TraceContext
}

export interface TokenIssuerOptions extends LifeRules {
  /** Requests a token from the auth tier; a 403 means that it denies the user, any other error that it failed. */
  readonly issue: (identity: Identity, asker: Asker) => Promise<string>
  /** Verifies a token for a user and returns its claims; throws if it is invalid. */
  readonly verify: (
    token: string,
    user: string,
  ) => Promise<{ readonly claims: Readonly<Record<string, unknown>> }>
  readonly clock: () => number
  readonly random?: () => number
  readonly onProblem?: (error: unknown, what: string) => void
}

/** One second: a user whom the auth tier has just allowed again should not notice. */
const REFUSAL_MS = 1_000

/** The issuer as the cache sees it: a verified token with its times, or a refusal to cache briefly. */
export class TokenIssuer {
  readonly #options: TokenIssuerOptions
  readonly #figures: CacheFigures

  constructor(options: TokenIssuerOptions, figures: CacheFigures) {
    this.#options = options
    this.#figures = figures
  }

  async tokenFor(identity: Identity, asker: Asker, renewal: boolean): Promise<CachedToken | Refusal> {
    const { issue, verify, clock, random } = this.#options
    this.#figures.issuerCalls += 1
    if (renewal) this.#figures.renewals += 1
    try {
      const token = await issue(identity, asker)
      const { claims } = await verify(token, identity.user)
      const life = lifeOf(Number(claims.exp) * 1000, clock(), this.#options, random)
      if (!life)
        throw new HttpError(
          502,
          'token_too_short',
          'The auth tier issued a token that expires too soon to be used.',
        )
      const { jti } = claims
      return { kind: 'token', readable: describeIdentity(identity), token, jti: String(jti), ...life }
    } catch (error) {
      this.#figures.issuerFailures += 1
      const refusal = toRefusal(identity, error, clock() + REFUSAL_MS)
      if (refusal.status !== 403) this.#options.onProblem?.(error, 'could not get a new token')
      return refusal
    }
  }
}

function toRefusal(identity: Identity, error: unknown, endsAt: number): Refusal {
  const readable = describeIdentity(identity)
  if (error instanceof HttpError && error.status === 403)
    return { kind: 'refusal', readable, status: 403, code: error.code, message: error.message, endsAt }
  // The message names the service that did not answer: the auth tier or the factory behind it.
  if (error instanceof PeerError && error.status === 504)
    return { kind: 'refusal', readable, status: 504, code: error.code, message: error.message, endsAt }
  return {
    kind: 'refusal',
    readable,
    status: 503,
    code: 'no_token',
    message: 'No token is available for this request. Retry later.',
    endsAt,
  }
}
