import type { Clock } from '../clock.ts'
import { GrpcError, status } from '../grpc/status.ts'
import type { JwtSvidParams } from '../jwt-svid/source.ts'
import type { JwtSvid } from '../jwt-svid/svid.ts'

/** A token that ends sooner than this may be over before it arrives. */
const MIN_REST_MS = 5000

/** After a renewal that failed, the agent is left alone for so long while the old token still serves. */
const RENEWAL_PAUSE_MS = 1000

/** A workload talks to dozens of others; more audiences than this are a leak, and the oldest goes. */
const MAX_ENTRIES = 1000

interface Entry {
  svid: JwtSvid | undefined
  renewAt: number
  pending: Promise<JwtSvid> | undefined
}

/**
 * JWT-SVIDs by audience set and subject. Each is renewed at half of its life in the background, so that nobody
 * waits; many callers at once cost one call; a refusal by the agent takes the old token with it.
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
    // A failed renewal has told everyone there is to tell; the token that is here still serves.
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
    this.#entries.set(key, entry) // The end of a Map is where the newest stands.
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
      // By half of what is left of it: an agent hands out tokens from its own cache, in their middle age.
      entry.renewAt = now + (svid.expiresAt - now) / 2
      return svid
    } catch (error) {
      if (error instanceof GrpcError && error.code === status.permissionDenied) entry.svid = undefined
      entry.renewAt = this.#clock() + RENEWAL_PAUSE_MS
      throw error
    }
  }
}
