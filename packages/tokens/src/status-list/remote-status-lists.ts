import type { KeyFinder } from '../keys/index.ts'
import type { TokenLibrary } from '../libraries/index.ts'
import type { StatusList } from './status-list.ts'
import { verifyStatusList } from './status-list-token.ts'

export interface StatusListsOptions {
  /** The issuer of the tokens and of their lists. */
  readonly issuer: string
  /** The keys of the issuer, as for its tokens. */
  readonly keys: KeyFinder
  /** The URIs of the lists begin with this, e.g. `https://issuer/status-lists/`. No other URI in a token is loaded. */
  readonly prefix: string
  /** Loads the list token at this URI as text; must have its own timeout. */
  readonly load: (uri: string) => Promise<string>
  /** `reject` (fail closed) or `accept` a token whose list can neither be loaded nor be used from an earlier load. */
  readonly whenUnavailable: 'reject' | 'accept'
  /**
   * The maximum age of a list, by its `iat`. A list that cannot be reloaded after its `ttl` stays in use until then: the longest
   * time for which a revocation is not seen while the issuer is unavailable.
   */
  readonly maxAgeSeconds: number
  /** Whether a token without a status claim is rejected (default), because it could not be revoked. */
  readonly required?: boolean
  /** Tolerated clock skew in seconds. */
  readonly leewaySeconds?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly library?: TokenLibrary
}

/** The statuses of an issuer's tokens, for the rule `statusList` of verifyToken. */
export interface StatusLists {
  readonly required: boolean
  readonly whenUnavailable: 'reject' | 'accept'
  /** Whether a list with this URI may be loaded. */
  allows(uri: string): boolean
  /**
   * Returns the status at an index of a list; undefined if the list has no such index.
   * @throws why the list is unavailable
   */
  statusOf(uri: string, index: number): number | undefined | Promise<number | undefined>
}

/** The number of lists in memory, each at most 1 MiB: an issuer with 100,000 tokens a list has millions of valid tokens. */
const MAX_LISTS = 100
/** The minimum time between two loads of a list that cannot be loaded: more would not help the issuer recover. */
const RETRY_MS = 1_000
/** The fraction of the ttl after which a list is refreshed in the background, so that no request has to wait. */
const REFRESH_AHEAD = 0.75

interface Entry {
  list: StatusList | undefined
  iat: number
  /** When the list is reloaded in the background, when before use, and until when it is used if that fails. */
  refreshAt: number
  freshUntil: number
  usableUntil: number
  /** After a failed load: no further one before this time. */
  pausedUntil: number
  failure: unknown
  loading: Promise<void> | undefined
}

/**
 * Loads status lists and keeps them for their `ttl` (Token Status List §13.7), one load at a time for each. A list older than the one in use
 * is rejected, so a replayed list cannot undo a revocation.
 * @throws {TypeError} if the prefix is not the start of a URL that ends with a slash
 */
export function remoteStatusLists(options: StatusListsOptions): StatusLists {
  const { prefix, required = true, whenUnavailable, maxAgeSeconds } = options
  if (!URL.canParse(prefix) || new URL(prefix).href !== prefix || !prefix.endsWith('/'))
    throw new TypeError('The prefix of status lists must be a URL that ends with a slash.')
  if (!(maxAgeSeconds > 0)) throw new TypeError('maxAgeSeconds must be greater than 0.')
  const lists = new Lists(options)
  return {
    required,
    whenUnavailable,
    allows: (uri) => isBelow(prefix, uri),
    statusOf: (uri, index) => lists.statusOf(uri, index),
  }
}

/** No query, fragment or percent-encoding: the path below the prefix must mean the same to every server. */
const PATH = /^[A-Za-z0-9._~/-]+$/

/** Tests for a URI below the prefix. A URL that the parser would change (`..`, another spelling of the host) is not accepted. */
const isBelow = (prefix: string, uri: string): boolean =>
  uri.startsWith(prefix) &&
  PATH.test(uri.slice(prefix.length)) &&
  URL.canParse(uri) &&
  new URL(uri).href === uri

class Lists {
  readonly #options: StatusListsOptions
  readonly #clock: () => number
  readonly #entries = new Map<string, Entry>()

  constructor(options: StatusListsOptions) {
    this.#options = options
    this.#clock = options.clock ?? Date.now
  }

  statusOf(uri: string, index: number): number | undefined | Promise<number | undefined> {
    const entry = this.#entryOf(uri)
    const now = this.#clock()
    if (entry.list && now < entry.freshUntil && now < entry.usableUntil) {
      if (now >= entry.refreshAt && now >= entry.pausedUntil) void this.#reload(uri, entry)
      return entry.list.get(index)
    }
    return this.#reloaded(uri, entry, now).then((list) => list.get(index))
  }

  async #reloaded(uri: string, entry: Entry, now: number): Promise<StatusList> {
    if (entry.loading || now >= entry.pausedUntil) await this.#reload(uri, entry)
    if (entry.list && this.#clock() < entry.usableUntil) return entry.list
    throw entry.failure ?? new Error('the status list is too old')
  }

  /** Returns the entry of a URI and marks it as the most recently used. */
  #entryOf(uri: string): Entry {
    const known = this.#entries.get(uri)
    if (known) this.#entries.delete(uri)
    const entry = known ?? {
      list: undefined,
      iat: 0,
      refreshAt: 0,
      freshUntil: 0,
      usableUntil: 0,
      pausedUntil: Number.NEGATIVE_INFINITY,
      failure: undefined,
      loading: undefined,
    }
    this.#entries.set(uri, entry)
    if (this.#entries.size > MAX_LISTS) this.#entries.delete(this.#entries.keys().next().value as string)
    return entry
  }

  /** Never rejects; a failure is stored and thrown only if there is no list to fall back on. */
  #reload(uri: string, entry: Entry): Promise<void> {
    entry.loading ??= this.#load(uri, entry).finally(() => {
      entry.loading = undefined
    })
    return entry.loading
  }

  async #load(uri: string, entry: Entry): Promise<void> {
    const { issuer, keys, load, maxAgeSeconds, leewaySeconds = 0, library } = this.#options
    // Before the load: a revocation during it may not be in the list.
    const askedAt = this.#clock()
    try {
      const token = (await load(uri)).trim()
      const { list, iat, exp, ttl } = await verifyStatusList(token, {
        issuer,
        keys,
        uri,
        leewaySeconds,
        clock: this.#clock,
        ...(library ? { library } : {}),
      })
      if (iat < entry.iat) throw new Error('the status list is older than the one in use')
      const ttlMs = Math.min(ttl ?? maxAgeSeconds, maxAgeSeconds) * 1000
      const expiresAt = Math.min(iat + maxAgeSeconds, exp ?? Number.POSITIVE_INFINITY) + leewaySeconds
      if (expiresAt * 1000 <= this.#clock()) throw new Error('the status list is too old')
      Object.assign(entry, {
        list,
        iat,
        refreshAt: askedAt + ttlMs * REFRESH_AHEAD,
        freshUntil: askedAt + ttlMs,
        usableUntil: expiresAt * 1000,
        failure: undefined,
        pausedUntil: Number.NEGATIVE_INFINITY,
      })
    } catch (failure) {
      entry.failure = failure
      entry.pausedUntil = this.#clock() + RETRY_MS
    }
  }
}
