import { Tally } from '@hallpass/service-kit'

/**
 * Shares a number of slots among owners. An owner takes a slot only while it holds fewer than are free, so that it never
 * holds more than half of them, and so that some are left for the next owner. Waiting owners take turns; the clients of one
 * owner are served in order.
 */
export class ReplaySlots<Client> {
  readonly #total: number
  readonly #held = new Tally<string>()
  /** The waiting clients by owner, beginning with the owner whose turn is next. */
  readonly #waiting = new Map<string, Set<Client>>()
  #waitingClients = 0

  constructor(total: number) {
    this.#total = total
  }

  get open(): number {
    return this.#held.total
  }

  get waiting(): number {
    return this.#waitingClients
  }

  /** Takes a slot if one is free for an owner that has no waiting client; returns whether it did. */
  take(owner: string): boolean {
    if (this.#waiting.has(owner) || !this.#canTake(owner)) return false
    this.#held.add(owner)
    return true
  }

  release(owner: string): void {
    this.#held.remove(owner)
  }

  queue(owner: string, client: Client): void {
    const clients = this.#waiting.get(owner)
    if (clients) clients.add(client)
    else this.#waiting.set(owner, new Set([client]))
    this.#waitingClients += 1
  }

  /** Removes a client that no longer waits, if it does. */
  leave(owner: string, client: Client): void {
    const clients = this.#waiting.get(owner)
    if (!clients?.delete(client)) return
    this.#waitingClients -= 1
    if (clients.size === 0) this.#waiting.delete(owner)
  }

  /** Takes a slot for the next waiting client and returns it, or `undefined` if no slot is free for any of them. */
  next(): Client | undefined {
    if (this.open === this.#total) return undefined
    // Only owners that hold a slot can be passed over, so this ends soon however many wait.
    for (const [owner, clients] of this.#waiting) {
      if (!this.#canTake(owner)) continue
      const [client] = clients as Iterable<Client>
      this.leave(owner, client as Client)
      if (this.#waiting.delete(owner)) this.#waiting.set(owner, clients)
      this.#held.add(owner)
      return client
    }
    return undefined
  }

  /** Returns whether a client waits for a slot of an owner: one of its own, or one of an owner that holds fewer. */
  mustYield(owner: string): boolean {
    if (this.#waiting.has(owner)) return true
    const held = this.#held.of(owner)
    // At most as many owners as there are slots hold any, so this ends soon, too.
    for (const other of this.#waiting.keys()) if (this.#held.of(other) < held) return true
    return false
  }

  #canTake(owner: string): boolean {
    return this.#held.of(owner) < this.#total - this.open
  }
}
