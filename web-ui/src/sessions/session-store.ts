import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@hallpass/service-kit'
import type { SealedStore, SealedZone } from '@hallpass/token-store'
import type { SessionTokens } from './session-tokens.ts'
import type { User } from './visitor.ts'

export interface Session {
  readonly user: User
  readonly tokens: SessionTokens
  /** Included in each form, so that forms of other sites are rejected. */
  readonly formToken: string
  /** The session's ID at the provider (`sid`), for back-channel logout. */
  readonly providerSession: string | undefined
  /** The browser that logged in, in words. */
  readonly browser?: string
}

export interface StoredSession extends Session {
  readonly startedAt: number
  readonly usedAt: number
  /** Ended by logout. */
  readonly isEnded?: boolean
}

export interface SessionStoreOptions {
  readonly store: SealedStore
  readonly maxMs: number
  readonly idleMs: number
  readonly clock: Clock
}

/**
 * About 10 KiB each, so at most 200 MiB of an embedded store, or of Redis if it has that much memory (`maxmemory`). A further
 * session replaces one that was not used for long.
 */
export const MAX_SESSIONS = 20_000
/** More than a person has browsers and devices. A further session replaces the user's oldest one. */
export const MAX_SESSIONS_OF_USER = 100

/** The data of an ended session for late forms: a second click, another tab. */
export interface EndedSession {
  readonly formToken: string
  readonly idToken: string | undefined
}

/** How long ended sessions are kept for forms of open pages. After that the provider asks the user. */
const ENDED_MS = 10 * 60_000
/** Use is recorded at most this often, because a write takes milliseconds: an idle session ends up to this much earlier. */
const RECORD_USE_MS = 60_000
/** For short idle times: a tenth of it. */
const RECORD_USE_PART = 10

/** A login's redirect is redeemed by one replica; those that received it at the same time get its session until then. */
const REDEEMED_MS = 60_000
/** Longer than what a lease covers: metadata (5 s), tokens (10 s), keys (2.5 s), and their storing (10 s). */
const LEASE_MS = 30_000
export const POLL_MS = 50

/** A session of a user or of a provider's session, as listed under it. */
interface Listed {
  readonly id: string
  readonly sub: string
  readonly endsAt: number
}

/** Returns 256 random bits. */
export const newSecret = () => randomBytes(32).toString('base64url')

/**
 * Stores the sessions of logged-in users for all replicas. The browser has only a random ID, so no token leaves this service and
 * ending a session is effective immediately, at every replica.
 *
 * The sessions of a user, and of a session of the provider, are listed in pinned entries: Redis may evict a session, but never
 * the way to end it.
 */
export class SessionStore {
  readonly #sessions: SealedZone
  readonly #lists: SealedZone
  readonly #options: SessionStoreOptions

  constructor(options: SessionStoreOptions) {
    this.#sessions = options.store.entries
    this.#lists = options.store.pinned
    this.#options = options
  }

  /** Starts a session. @returns its ID, always a new one (against session fixation). */
  async start(session: Session): Promise<string> {
    const id = newSecret()
    const now = this.#options.clock()
    const stored = { ...session, startedAt: now, usedAt: now }
    // Listed first: a session that exists can be ended.
    const listed = { id, sub: session.user.sub, endsAt: now + this.#options.maxMs }
    const dropped = await this.#list(ofUser(session.user.sub), listed)
    if (session.providerSession !== undefined)
      await this.#list(ofProviderSession(session.providerSession), listed)
    for (const old of dropped) await this.#sessions.remove(sessionName(old.id))
    await this.#sessions.put(sessionName(id), stored, this.#keptUntil(stored))
    return id
  }

  /**
   * Starts a session once for all requests with the same `key`, at whatever replica: those that arrive while another one is
   * started get its ID.
   */
  async startOnce(key: string, start: () => Promise<string>): Promise<string> {
    const name = `redeemed ${key}`
    for (let isFirst = true; ; isFirst = false) {
      const lease = await this.#sessions.lease(name, LEASE_MS)
      if (!lease) {
        await sleep(POLL_MS)
        continue
      }
      try {
        const started = isFirst ? undefined : await this.#sessions.get<string>(name)
        if (started) return started.value
        const id = await start()
        await this.#sessions.put(name, id, this.#options.clock() + REDEEMED_MS)
        return id
      } finally {
        await lease.release()
      }
    }
  }

  /** Returns a session that has not ended, and records its use. */
  async find(id: string | undefined): Promise<Session | undefined> {
    const found = await this.look(id)
    if (id === undefined || !found) return undefined
    const now = this.#options.clock()
    const recordEveryMs = Math.min(RECORD_USE_MS, this.#options.idleMs / RECORD_USE_PART)
    if (now - found.usedAt < recordEveryMs) return found
    return this.#change(id, (session) => ({ ...session, usedAt: now }))
  }

  /** Like {@link find}, without recording the use. */
  async look(id: string | undefined): Promise<StoredSession | undefined> {
    const stored = await this.#read(id)
    return stored && !this.#hasEnded(stored) ? stored : undefined
  }

  /**
   * Replaces the tokens of a session.
   * @param renewed the session's ID at the provider in a renewed ID token, if it has one. By the former ID it can still be ended.
   * @returns the session, or undefined if it has ended.
   */
  async setTokens(id: string, tokens: SessionTokens, renewed?: string): Promise<Session | undefined> {
    const before = renewed === undefined ? undefined : await this.look(id)
    // Listed first, as at its start.
    if (before && renewed !== undefined && before.providerSession !== renewed) {
      const endsAt = before.startedAt + this.#options.maxMs
      await this.#list(ofProviderSession(renewed), { id, sub: before.user.sub, endsAt })
    }
    return this.#change(id, (session) => ({
      ...session,
      tokens,
      providerSession: renewed ?? session.providerSession,
    }))
  }

  /** Acquires the right to renew the tokens of a session; undefined while another replica has it. */
  leaseOf(id: string) {
    return this.#sessions.lease(sessionName(id), LEASE_MS)
  }

  /** Ends a session. @returns it, or undefined if it has ended before. */
  async end(id: string | undefined): Promise<Session | undefined> {
    if (id === undefined) return undefined
    let before: StoredSession | undefined
    await this.#sessions.change<StoredSession>(sessionName(id), (entry) => {
      before = entry && !this.#hasEnded(entry.value) ? entry.value : undefined
      return before && { value: { ...before, isEnded: true }, endsAt: this.#options.clock() + ENDED_MS }
    })
    return before
  }

  /** Returns the data of a recently ended session (by logout or age). It does not log a user in. */
  async findEnded(id: string | undefined): Promise<EndedSession | undefined> {
    const stored = await this.#read(id)
    return stored && this.#hasEnded(stored)
      ? { formToken: stored.formToken, idToken: stored.tokens.idToken }
      : undefined
  }

  /**
   * Ends the sessions that the provider has ended: those of one of its sessions, or all of a user. With both, also those of the
   * user whose session at the provider is unknown, because it may be this one.
   * @returns how many.
   */
  async endAll(of: { readonly providerSession?: string; readonly sub?: string }): Promise<number> {
    const { providerSession, sub } = of
    if (providerSession === undefined && sub === undefined) return 0
    const ended = providerSession === undefined ? [] : await this.#listed(ofProviderSession(providerSession))
    let count = 0
    for (const { id, sub: listedSub } of ended) {
      if ((sub ?? listedSub) !== listedSub) continue
      if (await this.look(id)) count += 1
      await this.#sessions.remove(sessionName(id))
    }
    if (sub === undefined) return count
    for (const { id } of await this.#listed(ofUser(sub))) {
      const session = await this.look(id)
      if (providerSession !== undefined && (!session || session.providerSession !== undefined)) continue
      if (session) count += 1
      await this.#sessions.remove(sessionName(id))
    }
    return count
  }

  /** Returns the IDs of a user's sessions, also of some that have ended. */
  async idsOf(sub: string): Promise<readonly string[]> {
    return (await this.#listed(ofUser(sub))).map(({ id }) => id)
  }

  /** Returns when a session ends: if it is not used, and in any case. */
  endsOf({ startedAt, usedAt }: StoredSession): { idleEndsAt: number; endsAt: number } {
    const { maxMs, idleMs } = this.#options
    return { idleEndsAt: usedAt + idleMs, endsAt: startedAt + maxMs }
  }

  async #read(id: string | undefined): Promise<StoredSession | undefined> {
    if (id === undefined) return undefined
    return (await this.#sessions.get<StoredSession>(sessionName(id)))?.value
  }

  async #change(id: string, edit: (session: StoredSession) => StoredSession): Promise<Session | undefined> {
    const entry = await this.#sessions.change<StoredSession>(sessionName(id), (old) => {
      if (!old || this.#hasEnded(old.value)) return undefined
      const value = edit(old.value)
      return { value, endsAt: this.#keptUntil(value) }
    })
    return entry && !this.#hasEnded(entry.value) ? entry.value : undefined
  }

  async #listed(name: string): Promise<readonly Listed[]> {
    return (await this.#lists.get<readonly Listed[]>(name))?.value ?? []
  }

  /** Adds a session to a list, without those that have ended. @returns those that are too many. */
  async #list(name: string, added: Listed): Promise<readonly Listed[]> {
    let dropped: readonly Listed[] = []
    const now = this.#options.clock()
    await this.#lists.change<readonly Listed[]>(name, (entry) => {
      const others = (entry?.value ?? []).filter(({ id, endsAt }) => endsAt > now && id !== added.id)
      const all = [...others, added]
      dropped = all.slice(0, -MAX_SESSIONS_OF_USER)
      const value = all.slice(-MAX_SESSIONS_OF_USER)
      return { value, endsAt: Math.max(...value.map(({ endsAt }) => endsAt)) }
    })
    return dropped
  }

  #hasEnded(session: StoredSession): boolean {
    return session.isEnded === true || this.#options.clock() >= this.#endOf(session)
  }

  #endOf(session: StoredSession): number {
    const { idleEndsAt, endsAt } = this.endsOf(session)
    return Math.min(idleEndsAt, endsAt)
  }

  #keptUntil(session: StoredSession): number {
    return this.#endOf(session) + ENDED_MS
  }
}

const sessionName = (id: string) => `session ${id}`
const ofUser = (sub: string) => `user ${sub}`
const ofProviderSession = (sid: string) => `provider session ${sid}`
