import { createHash, randomBytes } from 'node:crypto'
import { type Clock, HttpError, Tally } from '@hallpass/service-kit'
import { unavailable } from '../http/index.ts'
import type { Grant } from './grant.ts'

/** Where tickets wait to be used. With several gateways, all of them use one store. */
export interface TicketStore {
  /** @throws {HttpError} 503 */
  put(key: string, grant: Grant, lifetimeMs: number): Promise<void>
  /**
   * Removes a ticket and returns its grant. Of several concurrent calls, one gets it.
   * @throws {HttpError} 503
   */
  take(key: string, path: string): Promise<Grant | undefined>
}

export interface TicketsOptions {
  readonly clock: Clock
  /** Absent: this gateway keeps its tickets itself. */
  readonly store?: TicketStore | undefined
  /** A ticket opens one stream, so more tickets than streams are of no use. */
  readonly maxStreams: number
  readonly maxStreamsPerSubject: number
}

/** Long enough for a page that opens its stream over a bad mobile connection, too short for a log to be read. */
export const TICKET_LIFETIME_MS = 30_000
/** 256 bits: a ticket cannot be guessed. */
const TICKET_BYTES = 32

interface Issued {
  readonly owner: string
  readonly forgetAt: number
  /** Absent if the grant is in the shared store. */
  readonly grant: Grant | undefined
}

/**
 * One-time tickets, which replace tokens in URLs: an EventSource cannot send headers, and a URL ends up in histories and logs,
 * where a used ticket is worthless. A ticket is for one path, and contains nothing: its grant is stored under its hash.
 */
export class Tickets {
  readonly #options: TicketsOptions
  /** In order of time. Those that another gateway has redeemed also stay until they expire. */
  readonly #issued = new Map<string, Issued>()
  readonly #byOwner = new Tally<string>()

  constructor(options: TicketsOptions) {
    this.#options = options
  }

  /**
   * Returns a ticket that opens one stream of a path within {@link TICKET_LIFETIME_MS}.
   * @throws {HttpError} 429 or 503 `too_many_tickets`, 503 if the shared store is unavailable
   */
  async issue(path: string, grant: Grant, owner: string): Promise<string> {
    this.#forgetExpired()
    const { clock, store, maxStreams, maxStreamsPerSubject } = this.#options
    if (this.#issued.size >= maxStreams)
      throw unavailable(503, 'too_many_tickets', 'Too many tickets are unused. Retry later.')
    if (this.#byOwner.of(owner) >= maxStreamsPerSubject)
      throw new HttpError(429, 'too_many_tickets', 'This subject has too many unused tickets. Retry later.', {
        headers: { 'retry-after': `${TICKET_LIFETIME_MS / 1000}` },
      })
    const ticket = randomBytes(TICKET_BYTES).toString('base64url')
    const key = keyOf(path, ticket)
    this.#remember(key, { owner, forgetAt: clock() + TICKET_LIFETIME_MS, grant: store ? undefined : grant })
    try {
      await store?.put(key, grant, TICKET_LIFETIME_MS)
    } catch (error) {
      this.#forget(key)
      throw error
    }
    return ticket
  }

  /**
   * Uses a ticket up and returns its grant; `undefined` if it is unknown, for another path, used or expired.
   * @throws {HttpError} 503 if the shared store is unavailable
   */
  async redeem(path: string, ticket: string): Promise<Grant | undefined> {
    this.#forgetExpired()
    const key = keyOf(path, ticket)
    const own = this.#issued.get(key)?.grant
    this.#forget(key)
    return this.#options.store ? this.#options.store.take(key, path) : own
  }

  #remember(key: string, issued: Issued) {
    this.#issued.set(key, issued)
    this.#byOwner.add(issued.owner)
  }

  #forget(key: string) {
    const issued = this.#issued.get(key)
    if (!issued) return
    this.#issued.delete(key)
    this.#byOwner.remove(issued.owner)
  }

  #forgetExpired() {
    const now = this.#options.clock()
    for (const [key, { forgetAt }] of this.#issued) {
      if (forgetAt > now) return
      this.#forget(key)
    }
  }
}

/** A copy of the store is of no use: the hash cannot be redeemed. */
const keyOf = (path: string, ticket: string) =>
  createHash('sha256').update(`${path}\n${ticket}`).digest('base64url')
