import { randomBytes } from 'node:crypto'
import type { Clock } from '@hallpass/service-kit'
import type { SessionTokens } from './session-tokens.ts'
import type { User } from './visitor.ts'

export interface Session {
  readonly user: User
  readonly tokens: SessionTokens
  /** Stands in each form, so that a form of another page does nothing here. */
  readonly formToken: string
  /** The session's name at the provider (`sid`), by which it may end it. */
  readonly providerSession: string | undefined
}

export interface SessionStoreOptions {
  readonly maxMs: number
  readonly idleMs: number
  readonly clock: Clock
}

/** Some 10 KiB each, so 200 MiB at worst; past that the session that was used least recently ends. */
const MAX_SESSIONS = 20_000

/** What is kept of a session that is over, for a form of it that comes late: a second click, another tab. */
export interface EndedSession {
  readonly formToken: string
  readonly idToken: string | undefined
}

/** A page that is still open may be older than its session; what ended longer ago, the provider asks about. */
const ENDED_MS = 10 * 60_000
/** Some 2 KiB each. */
const MAX_ENDED = 1_000

/** 256 bits: not to be guessed. */
export const newSecret = () => randomBytes(32).toString('base64url')

/**
 * Who is logged in. The browser holds an id that means nothing elsewhere; everything else is here, so that
 * no token ever leaves this service, and a session that is over is over at once.
 */
export class SessionStore {
  readonly #sessions = new Map<string, { session: Session; startedAt: number; usedAt: number }>()
  readonly #ended = new Map<string, EndedSession & { readonly until: number }>()
  readonly #options: SessionStoreOptions

  constructor(options: SessionStoreOptions) {
    this.#options = options
  }

  /** @returns the id, always a new one: an id that was there before the login is never kept (session fixation). */
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
    // Put back at the end: a Map keeps the order of insertion, so the first is the least recently used.
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

  /** What is left of a session that ended here a short while ago, by a logout or by its age; nobody is logged in by it. */
  findEnded(id: string | undefined): EndedSession | undefined {
    const ended = this.#ended.get(id ?? '')
    return ended && this.#options.clock() < ended.until ? ended : undefined
  }

  /** Ends what the provider says is over: one of its sessions, or everything of a user. */
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
