import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, isUnavailableStore } from '@hallpass/service-kit'
import { LoginRefused, type Tokens } from '../provider/index.ts'
import { LEASE_MS, POLL_MS, type Session, type SessionStore } from './session-store.ts'
import { isRefreshDue, refreshLater, type SessionTokens, sessionTokens } from './session-tokens.ts'

/** How long a request waits for another replica that renews the tokens; then it uses the old one if it is still valid. */
const WAIT_MS = 10_000
/** How long renewed tokens are kept for a store that does not answer: the old refresh token no longer works. */
const SAVE_MS = LEASE_MS / 2
const SAVE_AGAIN_MS = 200

export interface TokenRenewalOptions {
  readonly sessions: SessionStore
  /** Requests new tokens for a user; must reject those of another subject. */
  readonly renew: (sub: string, refreshToken: string) => Promise<Tokens>
  readonly clock: Clock
}

/**
 * Renews the access tokens of sessions before they expire, with one request at a time for each session, at whatever replica: a
 * refresh token works once, and a provider that receives one twice ends the session (RFC 9700 §4.14.2).
 */
export class TokenRenewal {
  readonly #options: TokenRenewalOptions
  readonly #renewing = new Map<string, Promise<Session | undefined>>()

  constructor(options: TokenRenewalOptions) {
    this.#options = options
  }

  /**
   * Returns the session with tokens that need no renewal, or undefined if the session has ended. While the provider is
   * unavailable, the old tokens stay.
   * @throws {StoreUnavailableError}
   */
  async current(id: string, session: Session): Promise<Session | undefined> {
    if (!isRefreshDue(session.tokens, this.#options.clock())) return session
    let renewing = this.#renewing.get(id)
    if (!renewing) {
      renewing = this.#renewOnce(id).finally(() => this.#renewing.delete(id))
      this.#renewing.set(id, renewing)
    }
    return renewing
  }

  async #renewOnce(id: string): Promise<Session | undefined> {
    const { sessions, clock } = this.#options
    const waitUntil = performance.now() + WAIT_MS
    for (;;) {
      const lease = await sessions.leaseOf(id)
      // Read again: another replica may have renewed the tokens meanwhile.
      const session = await sessions.look(id)
      if (lease) {
        try {
          return session && isRefreshDue(session.tokens, clock()) ? await this.#renew(id, session) : session
        } finally {
          await lease.release()
        }
      }
      if (!session || !isRefreshDue(session.tokens, clock()) || performance.now() > waitUntil) return session
      await sleep(POLL_MS)
    }
  }

  async #renew(id: string, { user, tokens }: Session): Promise<Session | undefined> {
    const { sessions, renew, clock } = this.#options
    let next: SessionTokens
    try {
      next = sessionTokens(await renew(user.sub, tokens.refreshToken as string), clock(), tokens)
    } catch (error) {
      if (error instanceof LoginRefused) {
        // The provider has ended its session, so this one ends too.
        await sessions.end(id)
        return undefined
      }
      next = refreshLater(tokens, clock())
    }
    return this.#save(id, next)
  }

  async #save(id: string, tokens: SessionTokens): Promise<Session | undefined> {
    const saveUntil = performance.now() + SAVE_MS
    for (;;) {
      try {
        return await this.#options.sessions.setTokens(id, tokens)
      } catch (error) {
        if (!isUnavailableStore(error) || performance.now() > saveUntil) throw error
        await sleep(SAVE_AGAIN_MS)
      }
    }
  }
}
