import type { Redis } from 'ioredis'
import type { Grant, TicketStore } from '../admission/index.ts'
import { unavailable } from '../http/index.ts'
import { grantMessage, type ReceivedGrants } from './grant-message.ts'

/** Keeps tickets in Redis, so that each gateway can redeem those of all, and only one of them can. */
export class SharedTickets implements TicketStore {
  readonly #prefix: string
  readonly #redis: () => Redis
  readonly #grants: ReceivedGrants

  /** @param redis returns the connection, which may not exist yet when this object is created */
  constructor(prefix: string, redis: () => Redis, grants: ReceivedGrants) {
    this.#prefix = prefix
    this.#redis = redis
    this.#grants = grants
  }

  async put(key: string, grant: Grant, lifetimeMs: number): Promise<void> {
    await whileAvailable(this.#redis().set(this.#prefix + key, JSON.stringify(grant), 'PX', lifetimeMs))
  }

  async take(key: string, path: string): Promise<Grant | undefined> {
    // Not GETDEL, which Redis has since 6.2 only.
    const replies = await whileAvailable(
      this.#redis()
        .multi()
        .get(this.#prefix + key)
        .del(this.#prefix + key)
        .exec(),
    )
    const text = replies?.[0]?.[1]
    return typeof text === 'string'
      ? this.#grants.receive(path, grantMessage.parse(JSON.parse(text)))
      : undefined
  }
}

/** A ticket of one gateway only would fail at the others, so there are none without Redis. */
async function whileAvailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw unavailable(503, 'tickets_unavailable', 'The store of tickets is unavailable. Retry later.', cause)
  }
}
