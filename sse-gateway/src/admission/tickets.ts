import { createHash, randomBytes } from 'node:crypto'
import { type Clock, HttpError, Tally } from '@hallpass/service-kit'
import type { Zone } from '@hallpass/token-store'
import { unavailable } from '../http/index.ts'
import type { Grant } from './grant.ts'
import { grantMessage, ReceivedGrants } from './grant-message.ts'

export interface TicketsOptions {
  readonly clock: Clock
  /** Where tickets wait to be used, shared by all gateways that have the store. */
  readonly zone: Zone
  /** A ticket opens one stream, so more tickets than streams are of no use. */
  readonly maxStreams: number
  readonly maxStreamsPerSubject: number
  /** By how much the clocks of gateways can differ. */
  readonly clockToleranceSeconds: number
  /** Called with the grant of each ticket, which is then used without the token. */
  readonly onPassedOn: (grant: Grant) => void
}

/** Long enough for a page that opens its stream over a bad mobile connection, too short for a log to be read. */
export const TICKET_LIFETIME_MS = 30_000
/** 256 bits: a ticket cannot be guessed. */
const TICKET_BYTES = 32

/** What is stored instead of the grant of a used ticket until it expires: of several gateways, one can write it. */
const USED = ''

interface Issued {
  readonly owner: string
  readonly forgetAt: number
}

/**
 * One-time tickets, which replace tokens in URLs: an EventSource cannot send headers, and a URL ends up in histories and logs,
 * where a used ticket is worthless. A ticket is for one path, and contains nothing: its grant is stored under its hash, also for a restart.
 */
export class Tickets {
  readonly #options: TicketsOptions
  readonly #grants: ReceivedGrants
  /** Those of this gateway, in order of time. Those that another gateway has redeemed also stay until they expire. */
  readonly #issued = new Map<string, Issued>()
  readonly #byOwner = new Tally<string>()

  constructor(options: TicketsOptions) {
    this.#options = options
    this.#grants = new ReceivedGrants(options.clock)
  }

  /**
   * Returns a ticket that opens one stream of a path within {@link TICKET_LIFETIME_MS}.
   * @throws {HttpError} 429 or 503 `too_many_tickets`, 503 `tickets_unavailable` if the store is unavailable
   */
  async issue(path: string, grant: Grant, owner: string): Promise<string> {
    this.#forgetExpired()
    const { clock, zone, maxStreams, maxStreamsPerSubject, onPassedOn } = this.#options
    if (this.#issued.size >= maxStreams)
      throw unavailable(503, 'too_many_tickets', 'Too many tickets are unused. Retry later.')
    if (this.#byOwner.of(owner) >= maxStreamsPerSubject)
      throw new HttpError(429, 'too_many_tickets', 'This subject has too many unused tickets. Retry later.', {
        headers: { 'retry-after': `${TICKET_LIFETIME_MS / 1000}` },
      })
    const ticket = randomBytes(TICKET_BYTES).toString('base64url')
    const key = keyOf(path, ticket)
    const endsAt = clock() + TICKET_LIFETIME_MS
    this.#remember(key, { owner, forgetAt: endsAt })
    try {
      await whileAvailable(zone.replace(key, undefined, { value: JSON.stringify(grant), endsAt }))
    } catch (error) {
      this.#forget(key)
      throw error
    }
    onPassedOn(grant)
    return ticket
  }

  /**
   * Uses a ticket up and returns its grant; `undefined` if it is unknown, for another path, used or expired. Of several
   * concurrent calls, one gets the grant.
   * @throws {HttpError} 503 `tickets_unavailable` if the store is unavailable
   */
  async redeem(path: string, ticket: string): Promise<Grant | undefined> {
    this.#forgetExpired()
    const { zone, clockToleranceSeconds } = this.#options
    const key = keyOf(path, ticket)
    const seen = await whileAvailable(zone.get(key))
    if (seen === undefined || seen.value === USED) return undefined
    if (!(await whileAvailable(zone.replace(key, seen, { value: USED, endsAt: seen.endsAt }))))
      return undefined
    this.#forget(key)
    // The token was verified when the ticket was issued, by the clock of the gateway that issued it: its key can have been
    // withdrawn since then.
    const issuedAt = seen.endsAt - TICKET_LIFETIME_MS
    const grant = grantMessage.parse(JSON.parse(seen.value))
    return this.#grants.receive(path, grant, issuedAt - 1_000 * clockToleranceSeconds)
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

async function whileAvailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw unavailable(503, 'tickets_unavailable', 'The store of tickets is unavailable. Retry later.', cause)
  }
}

/** A copy of the store is of no use: the hash cannot be redeemed. */
const keyOf = (path: string, ticket: string) =>
  createHash('sha256').update(`${path}\n${ticket}`).digest('base64url')
