import { createHash } from 'node:crypto'
import type { Clock, VerifiedClaims } from '@hallpass/service-kit'
import { Permits } from '@hallpass/untrusted/permits'
import { checkIntrospected, IntrospectionRefusal, type IntrospectionRules } from './introspected-token.ts'
import {
  type IntrospectionAnswer,
  IntrospectionEndpoint,
  type IntrospectionEndpointOptions,
  unavailable,
} from './introspection-endpoint.ts'

export interface IntrospectionOptions extends IntrospectionEndpointOptions {
  /** How long an answer about an active token is used; never longer than the token is valid. 0 asks for every request. */
  readonly cacheMs: number
}

/** Verifies tokens by rules, by what their issuer answers. */
export type IntrospectionVerifier = (
  token: string,
  how?: {
    /** Asks the issuer in any case: for a token that was accepted earlier, and may have been revoked since. */
    readonly fresh?: boolean
  },
) => Promise<VerifiedClaims>

/** As for tokens that are verified here; opaque ones have some dozen characters. */
const MAX_TOKEN_LENGTH = 8 * 1024
/** Answers about active tokens, of 1–2 KB each. */
const MAX_ACTIVE = 10_000
/** Hashes of tokens that are not active. */
const MAX_INACTIVE = 10_000
/** A client that repeats a bad token causes one call per second. */
const INACTIVE_MS = 1_000
/**
 * Calls about tokens that were never seen to be active: so many at a time, because the pool has 64 connections, and within
 * their 2.5 s an issuer that answers in 50 ms has served them all. Those about made-up tokens are regained within ten seconds,
 * so anyone who sends them causes a hundred calls per second; those about active ones are regained at once.
 */
const MAX_CALLS = 1_000
const REGAINED_WITHIN_MS = 10_000

/**
 * Verifies tokens by asking their issuer (RFC 7662): for opaque tokens, and for those that can be revoked at any time. Answers are
 * shared by all verifiers.
 */
export class Introspection {
  readonly #cacheMs: number
  readonly #clock: Clock
  readonly #endpoint: IntrospectionEndpoint
  /** By hash, so that memory contains no tokens; in the order of the answers. */
  readonly #active = new Map<string, { readonly answer: IntrospectionAnswer; readonly untilMs: number }>()
  readonly #inactive = new Map<string, number>()
  readonly #running = new Map<string, Promise<IntrospectionAnswer>>()
  readonly #permits: Permits

  constructor(options: IntrospectionOptions) {
    const { cacheMs, clock } = options
    this.#cacheMs = cacheMs
    this.#clock = clock
    this.#endpoint = new IntrospectionEndpoint(options)
    this.#permits = new Permits(MAX_CALLS, REGAINED_WITHIN_MS, clock)
  }

  /**
   * Returns a verifier, which resolves to what the issuer says about a valid token. One call serves all requests that wait for
   * the same token.
   *
   * It rejects with an {@link IntrospectionRefusal} if the token is not valid, and with an HttpError if the issuer cannot be asked:
   * 503 `introspection_unavailable` with `Retry-After`, or 502.
   */
  verifier(rules: IntrospectionRules): IntrospectionVerifier {
    return async (token, { fresh = false } = {}) => {
      if (token.length > MAX_TOKEN_LENGTH)
        throw new IntrospectionRefusal('token_too_large', `token longer than ${MAX_TOKEN_LENGTH} characters`)
      const name = createHash('sha256').update(token).digest('base64')
      const answer = (fresh ? undefined : this.#known(name)) ?? (await this.#ask(name, token, fresh))
      checkIntrospected(answer, rules, this.#clock())
      return { claims: answer }
    }
  }

  #known(name: string): IntrospectionAnswer | undefined {
    const now = this.#clock()
    const inactiveUntil = this.#inactive.get(name)
    if (inactiveUntil !== undefined && isWithin(now, inactiveUntil, INACTIVE_MS)) return { active: false }
    const active = this.#active.get(name)
    return active && isWithin(now, active.untilMs, this.#cacheMs) ? active.answer : undefined
  }

  #ask(name: string, token: string, wasActive: boolean): Promise<IntrospectionAnswer> {
    const running = this.#running.get(name)
    if (running !== undefined) return running
    // A token whose answer is too old to be used is a real one, too.
    const needsPermit = !wasActive && !this.#active.has(name)
    if (needsPermit && !this.#permits.take())
      return Promise.reject(unavailable(undefined, Math.ceil(this.#permits.nextInMs / 1000)))
    const asking = this.#endpoint
      .ask(token)
      .then((answer) => {
        this.#keep(name, answer)
        if (needsPermit && answer.active) this.#permits.giveBack()
        return answer
      })
      .finally(() => this.#running.delete(name))
    this.#running.set(name, asking)
    return asking
  }

  #keep(name: string, answer: IntrospectionAnswer): void {
    const now = this.#clock()
    this.#active.delete(name)
    this.#inactive.delete(name)
    if (!answer.active) {
      this.#inactive.set(name, now + INACTIVE_MS)
      forgetOldest(this.#inactive, MAX_INACTIVE)
      return
    }
    const { exp } = answer
    const untilMs = Math.min(
      now + this.#cacheMs,
      typeof exp === 'number' ? exp * 1000 : Number.POSITIVE_INFINITY,
    )
    if (untilMs <= now) return
    this.#active.set(name, { answer, untilMs })
    forgetOldest(this.#active, MAX_ACTIVE)
  }
}

/** A time that seems further away than any was set before the clock was set back. */
const isWithin = (now: number, untilMs: number, lifetimeMs: number) =>
  now < untilMs && untilMs - now <= lifetimeMs

function forgetOldest(map: Map<string, unknown>, max: number): void {
  const [oldest] = map.keys()
  if (map.size > max && oldest !== undefined) map.delete(oldest)
}

/**
 * Whether a token has the form of a signed JWT (RFC 7515 §3.1), whose header is a JSON object. One with padding is a malformed
 * JWT, not an opaque token: the issuer might take it for the JWT.
 */
export const looksLikeJwt = (token: string): boolean => /^ey[\w-]+\.[\w-]+\.[\w-]*=*$/.test(token)
