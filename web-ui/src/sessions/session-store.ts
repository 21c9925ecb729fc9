import { randomBytes } from 'node:crypto'
import type { Clock } from '@hallpass/service-kit'
import type { SessionTokens } from './session-tokens.ts'
import type { User } from './visitor.ts'

export interface Session {
  readonly user: User
  readonly tokens: SessionTokens
  /** Included in each form, so that forms of other sites are rejected. */
  readonly formToken: string
  /** The session's ID at the provider (`sid`), for back-channel logout. */
  readonly providerSession: string | undefined
}

export interface SessionStoreOptions {
  readonly maxMs: number
  readonly idleMs: number
  readonly clock: Clock
}

/** About 10 KiB each, so at most 200 MiB. A further session replaces the least recently used one. */
const MAX_SESSIONS = 20_000

/** The data of an ended session for late forms: a second click, another tab. */
export interface EndedSession {
  readonly formToken: string
  readonly idToken: string | undefined
}

/** How long ended sessions are kept for forms of open pages. After that the provider asks the user. */
const ENDED_MS = 10 * 60_000
/** About 2 KiB each. */
const MAX_ENDED = 1_000

/** Returns 256 random bits. */
export const newSecret = () => randomBytes(32).toString('base64url')

/**
 * Stores the sessions of logged-in users in memory. The browser has only a random ID, so no token leaves this service and
 * ending a session is effective immediately.
 */
export class SessionStore {
  readonly #sessions = new Map<string, { session: Session; startedAt: number; usedAt: number }>()
  readonly #ended = new Map<string, EndedSession & { readonly until: number }>()
  readonly #options: SessionStoreOptions

  constructor(options: SessionStoreOptions) {
    this.#options = options
  }

  /** Starts a session. @returns its ID, always a new one (against session fixation). */
  start(session: Session): string {
    const id = newSecret()
    const now = this.#options.clock()
    this.#sessions.set(id, { session, startedAt: now, usedAt: now })
    if (this.#sessions.size > MAX_SESSIONS) {
      const leastRecentlyUsed = this.#sessions.keys().next().value as string
      this.#sessions.delete(leastRecentlyUsed)
    }
    return id
  }

  find(id: string | undefined): Session | undefined {
    if (id === undefined) return undefined
    const entry = this.#sessions.get(id)
    if (!entry) return undefined
    this.#sessions.delete(id)
    const { maxMs, idleMs, clock } = this.#options
    const now = clock()
    if (now >= entry.startedAt + maxMs || now >= entry.usedAt + idleMs) {
      this.#bury(id, entry.session)
      return undefined
    }
    entry.usedAt = now
    // Reinserted at the end: a Map keeps insertion order, so its first entry is the least recently used.
    this.#sessions.set(id, entry)
    return entry.session
  }

  end(id: string | undefined): Session | undefined {
    const session = this.find(id)
    if (id === undefined || !session) return undefined
    this.#sessions.delete(id)
    this.#bury(id, session)
    return session
  }

  /** Returns the data of a recently ended session (by logout or age). It does not log a user in. */
  findEnded(id: string | undefined): EndedSession | undefined {
    const ended = this.#ended.get(id ?? '')
    return ended && this.#options.clock() < ended.until ? ended : undefined
  }

  /** Ends the sessions that the provider has ended: one of its sessions, or all of a user. */
  endAll(of: { readonly providerSession?: string; readonly sub?: string }): Session[] {
    const ended: Session[] = []
    for (const [id, { session }] of this.#sessions) {
      const same =
        of.providerSession === undefined
          ? session.user.sub === of.sub
          : session.providerSession === of.providerSession &&
            (of.sub ?? session.user.sub) === session.user.sub
      if (!same) continue
      this.#sessions.delete(id)
      ended.push(session)
    }
    return ended
  }

  #bury(id: string, { formToken, tokens: { idToken } }: Session) {
    this.#ended.set(id, { formToken, idToken, until: this.#options.clock() + ENDED_MS })
    if (this.#ended.size > MAX_ENDED) this.#ended.delete(this.#ended.keys().next().value as string)
  }

  get size(): number {
    return this.#sessions.size
  }
}
