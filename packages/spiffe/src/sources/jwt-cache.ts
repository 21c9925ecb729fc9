import type { Clock } from '../clock.ts'
import { GrpcError, status } from '../grpc/index.ts'
import type { JwtSvid, JwtSvidParams } from '../jwt-svid/index.ts'

/** A token with less time left than this could expire before it arrives. */
const MIN_REST_MS = 5000

/** The pause after a failed renewal, while the old token is still valid. */
const RENEWAL_PAUSE_MS = 1000

/** A workload calls dozens of others; more audiences indicate a leak, so the least recently used entry is removed. */
const MAX_ENTRIES = 1000

interface Entry {
  svid: JwtSvid | undefined
  renewAt: number
  pending: Promise<JwtSvid> | undefined
}

/**
 * Caches JWT-SVIDs by audience set and subject. Tokens are renewed in the background at half of their remaining lifetime.
 * Concurrent callers share one call to the agent. If the agent rejects the workload, the old token is dropped.
 */
export class JwtCache {
  readonly #fetch: (params: JwtSvidParams) => Promise<JwtSvid>
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(fetch: (params: JwtSvidParams) => Promise<JwtSvid>, clock: Clock) {
    this.#fetch = fetch
    this.#clock = clock
  }

  async get(params: JwtSvidParams): Promise<JwtSvid> {
    const entry = this.#entry(params)
    const now = this.#clock()
    const { svid } = entry
    if (!svid || now >= svid.expiresAt - MIN_REST_MS) return this.#renew(entry, params)
    // Ignore a failed renewal: the cached token is still valid, and a later call retries.
    if (now >= entry.renewAt) this.#renew(entry, params).catch(() => {})
    return svid
  }

  /** Forgets every token: the identity was withdrawn. */
  clear(): void {
    this.#entries.clear()
  }

  #entry(params: JwtSvidParams): Entry {
    const audience = typeof params.audience === 'string' ? [params.audience] : params.audience
    const key = JSON.stringify([params.subject ?? '', [...new Set(audience)].sort()])
    const entry = this.#entries.get(key) ?? { svid: undefined, renewAt: 0, pending: undefined }
    this.#entries.delete(key)
    this.#entries.set(key, entry) // Reinserted, so that the first entry is the least recently used.
    if (this.#entries.size > MAX_ENTRIES) {
      const [oldest] = this.#entries.keys()
      this.#entries.delete(oldest as string)
    }
    return entry
  }

  #renew(entry: Entry, params: JwtSvidParams): Promise<JwtSvid> {
    entry.pending ??= this.#fetchInto(entry, params).finally(() => {
      entry.pending = undefined
    })
    return entry.pending
  }

  async #fetchInto(entry: Entry, params: JwtSvidParams): Promise<JwtSvid> {
    try {
      const svid = await this.#fetch(params)
      const now = this.#clock()
      entry.svid = svid
      // Half of the remaining lifetime: an agent can return a token from its own cache.
      entry.renewAt = now + (svid.expiresAt - now) / 2
      return svid
    } catch (error) {
      if (error instanceof GrpcError && error.code === status.permissionDenied) entry.svid = undefined
      entry.renewAt = this.#clock() + RENEWAL_PAUSE_MS
      throw error
    }
  }
}
