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

/** 256 bits: not to be guessed. */
export const newSecret = () => randomBytes(32).toString('base64url')

/**
 * Who is logged in. The browser holds an id that means nothing elsewhere; everything else is here, so that
 * no token ever leaves this service, and a session that is over is over at once.
 */
export class SessionStore {
  readonly #sessions = new Map<string, { session: Session; startedAt: number; usedAt: number }>()
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
    if (now >= entry.startedAt + maxMs || now >= entry.usedAt + idleMs) return undefined
    entry.usedAt = now
    // Put back at the end: a Map keeps the order of insertion, so the first is the least recently used.
    this.#sessions.set(id, entry)
    return entry.session
  }

  end(id: string | undefined): Session | undefined {
    const session = this.find(id)
    if (id !== undefined) this.#sessions.delete(id)
    return session
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

  get size(): number {
    return this.#sessions.size
  }
}
