/** A token as its issuer answers: it tells how long the token is valid, not until when. */
export interface IssuedToken {
  readonly value: string
  /** Absent if the issuer does not tell (RFC 6749 §5.1). */
  readonly lifetimeMs: number | undefined
}

/** A token with its times, by the same monotonic clock as the cache. */
export interface UpstreamToken {
  readonly value: string
  readonly obtainedAt: number
  /** From then on, another one is requested; Infinity if the lifetime is not known. */
  readonly renewAt: number
  readonly expiresAt: number
}

/**
 * How long before its expiry a token is replaced: enough for an issuer that restarts, and for clocks that differ; of a short
 * lifetime only a part.
 */
const LEAD_MS = 60_000
const LEAD_PART = 1 / 4
/** Requests within this time after a failure get the same error: each waiting client would otherwise call the issuer. */
const FAILURE_MS = 1_000
/**
 * A token that is rejected at this age will not be accepted if it is requested again. It also bounds the calls: an upstream
 * that rejects everything causes one in ten seconds, however many clients connect.
 */
const MIN_AGE_MS = 10_000

/**
 * One token for all connections: requested when it is needed, by one call for all that wait, and again before it expires.
 * Times are monotonic, because lifetimes are relative: a clock that is set does not change them.
 */
export class CachedToken {
  readonly #request: () => Promise<IssuedToken>
  readonly #now: () => number
  #token: UpstreamToken | undefined
  #pending: Promise<UpstreamToken> | undefined
  #failure: { readonly error: unknown; readonly until: number } | undefined

  constructor(request: () => Promise<IssuedToken>, now: () => number = () => performance.now()) {
    this.#request = request
    this.#now = now
  }

  /**
   * Returns a token that is valid now. If the next one cannot be had, the current one is used until it expires.
   * @throws what the request throws
   */
  async get(): Promise<UpstreamToken> {
    const token = this.#token
    if (token && this.#now() < token.renewAt) return token
    try {
      return await this.#fetch()
    } catch (error) {
      if (token && this.#now() < token.expiresAt) return token
      throw error
    }
  }

  /**
   * Returns the token to try after one was rejected, or `undefined` if it was too new for another to be accepted.
   * @throws what the request throws
   */
  async after(rejected: UpstreamToken): Promise<UpstreamToken | undefined> {
    // Another connection may have replaced it already.
    if (this.#token !== rejected) return this.get()
    return this.#now() - rejected.obtainedAt < MIN_AGE_MS ? undefined : this.#fetch()
  }

  #fetch(): Promise<UpstreamToken> {
    if (this.#failure && this.#now() < this.#failure.until) return Promise.reject(this.#failure.error)
    this.#pending ??= this.#renew().finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  async #renew(): Promise<UpstreamToken> {
    // The lifetime began at the latest when the answer was sent, so it is counted from the request.
    const obtainedAt = this.#now()
    try {
      const { value, lifetimeMs = Number.POSITIVE_INFINITY } = await this.#request()
      const lead = Math.min(LEAD_MS, lifetimeMs * LEAD_PART)
      const expiresAt = obtainedAt + lifetimeMs
      this.#token = { value, obtainedAt, renewAt: expiresAt - lead, expiresAt }
      this.#failure = undefined
      return this.#token
    } catch (error) {
      this.#failure = { error, until: this.#now() + FAILURE_MS }
      throw error
    }
  }
}
