import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, HttpError, isUnavailableStore, type Logger } from '@hallpass/service-kit'
import { LoginRefused, type Tokens } from '../provider/index.ts'
import { POLL_MS, type Session, type SessionStore } from './session-store.ts'
import {
  failureCode,
  isRefreshDue,
  refreshLater,
  type SessionTokens,
  sessionTokens,
  validAccessToken,
} from './session-tokens.ts'
import { within } from './within.ts'

/** How long a page waits for a renewal while the old token is valid: longer than an answer of a provider that is well. */
const PAGE_WAIT_MS = 1_000
/** How long a page waits for a renewal without a valid token. Then it shows that there is none. */
const PAGE_WAIT_WITHOUT_TOKEN_MS = 2_000
/** How long a renewal waits for another replica that renews the same tokens. */
const WAIT_MS = 10_000
/** How long a stop waits for renewals: a new refresh token that is not stored ends the session. */
const STOP_WAIT_MS = 1_000
/** More than there are error codes of OAuth and of peers: the codes come from the provider. */
const MAX_KINDS = 32
/** The only reasons that end a session: the grant is over (RFC 6749 §5.2), or it is another user's. */
const ENDS_SESSION: readonly string[] = ['invalid_grant', 'other_subject']
/** How long renewed tokens are kept for a store that does not answer: the old refresh token no longer works. */
const SAVE_MS = 10_000
const SAVE_AGAIN_MS = 200

export interface TokenRenewalOptions {
  readonly sessions: SessionStore
  /** Requests new tokens for a user; must reject those of another subject. */
  readonly renew: (sub: string, refreshToken: string) => Promise<Tokens>
  readonly log: Logger
  readonly clock: Clock
}

/**
 * Renews the access tokens of sessions before they expire, with one request at a time for each session, at whatever replica: a
 * refresh token works once, and a provider that receives one twice ends the session (RFC 9700 §4.14.2).
 */
export class TokenRenewal {
  readonly #options: TokenRenewalOptions
  readonly #renewing = new Map<string, Promise<Session | undefined>>()
  /** The kinds of failures since the last success, each of which is logged once. */
  readonly #failures = new Set<string>()

  constructor(options: TokenRenewalOptions) {
    this.#options = options
  }

  /**
   * Returns the session with tokens that need no renewal, or undefined if the session has ended. If the provider does not
   * renew them within a second or two, the old ones stay and the renewal continues in the background.
   * @throws {StoreUnavailableError}
   */
  async current(id: string, session: Session): Promise<Session | undefined> {
    const now = this.#options.clock()
    if (!isRefreshDue(session.tokens, now)) return session
    let renewing = this.#renewing.get(id)
    if (!renewing) {
      renewing = this.#renewOnce(id).finally(() => this.#renewing.delete(id))
      this.#renewing.set(id, renewing)
    }
    const isUsable = validAccessToken(session.tokens, now) !== undefined
    return within(isUsable ? PAGE_WAIT_MS : PAGE_WAIT_WITHOUT_TOKEN_MS, renewing, session)
  }

  /** Waits a moment for renewals that no request waits for; before the store is closed. */
  async settle(): Promise<void> {
    await within(STOP_WAIT_MS, Promise.allSettled([...this.#renewing.values()]), undefined)
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
    const refreshToken = tokens.refreshToken as string
    let next: SessionTokens
    let providerSession: string | undefined
    try {
      const renewed = await renew(user.sub, refreshToken)
      const sid = renewed.claims?.sid
      providerSession = typeof sid === 'string' ? sid : undefined
      next = sessionTokens(renewed, clock(), tokens)
      this.#failures.clear()
    } catch (error) {
      if (error instanceof LoginRefused && ENDS_SESSION.includes(error.code)) {
        // The provider has ended its session, so this one ends too.
        await sessions.end(id)
        return undefined
      }
      this.#logFailure(error as Error, refreshToken)
      next = refreshLater(tokens, clock(), error as Error)
    }
    return this.#save(id, next, providerSession)
  }

  #logFailure(error: Error, refreshToken: string): void {
    const code = failureCode(error)
    if (this.#failures.has(code) || this.#failures.size >= MAX_KINDS) return
    this.#failures.add(code)
    // Some providers quote the token that they decline.
    const message = error.message.includes(refreshToken) ? code : error.message
    // Of this service's own faults, e.g. the name of a file.
    const reason =
      error instanceof HttpError && error.cause instanceof Error ? { cause: error.cause.message } : {}
    this.#options.log.warn({ code, ...reason }, `access token not renewed, the sessions continue: ${message}`)
  }

  async #save(
    id: string,
    tokens: SessionTokens,
    providerSession: string | undefined,
  ): Promise<Session | undefined> {
    const saveUntil = performance.now() + SAVE_MS
    for (;;) {
      try {
        return await this.#options.sessions.setTokens(id, tokens, providerSession)
      } catch (error) {
        if (!isUnavailableStore(error) || performance.now() > saveUntil) throw error
        await sleep(SAVE_AGAIN_MS)
      }
    }
  }
}
