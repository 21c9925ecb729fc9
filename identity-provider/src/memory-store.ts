import type { Adapter, AdapterPayload } from 'oidc-provider'

/** Enough for the sessions, codes and tokens of a classroom; beyond that, the oldest entry is removed. */
const MAX_ENTRIES = 10_000

/**
 * Stores oidc-provider's sessions, codes, grants and refresh tokens in memory. After a restart, users log in again.
 */
export class MemoryStore {
  readonly #entries = new Map<string, { payload: AdapterPayload; endsAt: number }>()

  /** Returns the store as oidc-provider requires it: one adapter per kind of entry. */
  readonly adapterFor = (kind: string): Adapter => {
    const key = (id: string) => `${kind}:${id}`
    return {
      upsert: async (id, payload, expiresIn) => this.#put(key(id), payload, expiresIn),
      find: async (id) => this.#get(key(id)),
      findByUid: async (uid) =>
        this.#find((name, payload) => name.startsWith(`${kind}:`) && payload.uid === uid),
      findByUserCode: async () => undefined,
      consume: async (id) => {
        const payload = this.#get(key(id))
        if (payload) payload.consumed = Math.floor(Date.now() / 1000)
      },
      destroy: async (id) => {
        this.#entries.delete(key(id))
      },
      revokeByGrantId: async (grantId) => {
        for (const [name, { payload }] of this.#entries)
          if (name.startsWith(`${kind}:`) && payload.grantId === grantId) this.#entries.delete(name)
      },
    }
  }

  #put(key: string, payload: AdapterPayload, expiresIn: number | undefined) {
    this.#entries.delete(key)
    if (this.#entries.size >= MAX_ENTRIES) {
      const oldest = this.#entries.keys().next().value
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    const endsAt = expiresIn ? Date.now() + expiresIn * 1000 : Number.POSITIVE_INFINITY
    this.#entries.set(key, { payload, endsAt })
  }

  #get(key: string): AdapterPayload | undefined {
    const entry = this.#entries.get(key)
    if (entry && entry.endsAt <= Date.now()) {
      this.#entries.delete(key)
      return undefined
    }
    return entry?.payload
  }

  #find(matches: (key: string, payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    for (const [key, { payload }] of this.#entries) if (matches(key, payload)) return this.#get(key)
    return undefined
  }
}
