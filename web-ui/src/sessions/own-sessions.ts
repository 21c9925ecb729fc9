import { createHash } from 'node:crypto'
import type { Session, SessionStore } from './session-store.ts'

/** A session as its user sees it. Times are in milliseconds since the epoch. */
export interface OwnSession {
  /** Names the session in forms. It cannot be used as a cookie: it is a hash of the ID. */
  readonly handle: string
  /** The browser that logged in, in words. */
  readonly browser: string
  readonly isThis: boolean
  readonly startedAt: number
  /** Accurate to a minute. */
  readonly usedAt: number
  /** When it ends if it is not used. */
  readonly idleEndsAt: number
  /** When it ends in any case. */
  readonly endsAt: number
}

/** The sessions of one user, which that user may list and end. */
export class OwnSessions {
  readonly #sessions: SessionStore

  constructor(sessions: SessionStore) {
    this.#sessions = sessions
  }

  /** Returns the user's sessions that have not ended: the one with `ownId` first, then by their last use. */
  async list(sub: string, ownId: string | undefined): Promise<readonly OwnSession[]> {
    const ids = await this.#sessions.idsOf(sub)
    const found = await Promise.all(
      ids.map(async (id) => {
        const session = await this.#sessions.look(id)
        if (session?.user.sub !== sub) return []
        const { browser = 'Unknown browser', startedAt, usedAt } = session
        const ends = this.#sessions.endsOf(session)
        return [{ handle: handleOf(id), browser, isThis: id === ownId, startedAt, usedAt, ...ends }]
      }),
    )
    return found.flat().sort((a, b) => Number(b.isThis) - Number(a.isThis) || b.usedAt - a.usedAt)
  }

  /** Ends the user's session with a handle. @returns it, or undefined if this user has none. */
  async end(sub: string, handle: string): Promise<Session | undefined> {
    const id = (await this.#sessions.idsOf(sub)).find((one) => handleOf(one) === handle)
    return this.#sessions.end(id)
  }

  /** Ends all sessions of the user but the one with `ownId`. @returns those that it has ended. */
  async endOthers(sub: string, ownId: string): Promise<readonly Session[]> {
    const others = (await this.#sessions.idsOf(sub)).filter((id) => id !== ownId)
    const ended = await Promise.all(others.map((id) => this.#sessions.end(id)))
    return ended.filter((session) => session !== undefined)
  }
}

/** An ID has 256 random bits, so its hash reveals nothing about it. */
const handleOf = (id: string) =>
  createHash('sha256').update(`handle of session ${id}`).digest('base64url').slice(0, 22)
