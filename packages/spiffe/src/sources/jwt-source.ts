import { EventEmitter } from 'node:events'
import { type Clock, systemClock } from '../clock.ts'
import type { JwtBundle, JwtBundleSet, JwtBundleSource } from '../jwt-bundle/index.ts'
import type { JwtSvid, JwtSvidParams, JwtSvidSource } from '../jwt-svid/index.ts'
import type { TrustDomain } from '../spiffe-id/index.ts'
import { WorkloadApiClient, type WorkloadApiClientOptions } from '../workload-api/index.ts'
import { JwtCache } from './jwt-cache.ts'
import { type ReadyOptions, SourceError, type SourceHealth, Subscription } from './subscription.ts'

export interface JwtSourceOptions extends WorkloadApiClientOptions {
  /**
   * How long bundles are trusted while the agent is unreachable. Unlimited by default: unlike SVIDs, bundles do not expire,
   * and the tokens that they validate do.
   */
  readonly maxStaleMs?: number
}

export interface FetchJwtSvidParams extends JwtSvidParams {
  /** Calls the agent even if a valid token is cached. */
  readonly fresh?: boolean
}

interface JwtSourceEvents {
  update: [JwtBundleSet]
  withdraw: [Error]
  failure: [Error]
}

/** The workload's own JWT-SVIDs, from a cache that renews them, and the bundles that validate those of others. */
export class JwtSource extends EventEmitter<JwtSourceEvents> implements JwtSvidSource, JwtBundleSource {
  readonly #client: WorkloadApiClient
  readonly #subscription: Subscription<JwtBundleSet>
  readonly #cache: JwtCache
  readonly #clock: Clock
  readonly #maxStaleMs: number
  #closed = false

  /** Starts watching; {@link ready} resolves when bundles are available. @throws AddressError */
  constructor(options: JwtSourceOptions = {}) {
    super()
    this.#client = new WorkloadApiClient(options)
    this.#clock = options.clock ?? systemClock
    this.#maxStaleMs = options.maxStaleMs ?? Number.POSITIVE_INFINITY
    this.#cache = new JwtCache((params) => this.#client.fetchJwtSvid(params), this.#clock)
    this.#subscription = new Subscription<JwtBundleSet>({
      name: 'jwtsource',
      clock: this.#clock,
      watch: (watcher, signal) => this.#client.watchJwtBundles(watcher, signal),
      equals: (a, b) => a.equals(b),
    })
    this.#subscription.on('update', (bundles) => this.emit('update', bundles))
    this.#subscription.on('withdraw', (error) => {
      this.#cache.clear()
      this.emit('withdraw', error)
    })
    this.#subscription.on('failure', (error) => this.emit('failure', error))
  }

  /** Opens a source and waits for its bundles. @throws SourceError after closing everything */
  static async open(options: JwtSourceOptions & ReadyOptions = {}): Promise<JwtSource> {
    const source = new JwtSource(options)
    try {
      await source.ready(options)
      return source
    } catch (error) {
      source.close()
      throw error
    }
  }

  /** Waits for the first bundles. @throws SourceError with attempts, cause and hint */
  ready(options?: ReadyOptions): Promise<void> {
    return this.#subscription.ready(options)
  }

  /** @throws GrpcError PermissionDenied if the workload has no such identity; SourceError if closed */
  async fetchJwtSvid({ fresh = false, ...params }: FetchJwtSvidParams): Promise<JwtSvid> {
    this.#assertOpen()
    return fresh ? this.#client.fetchJwtSvid(params) : this.#cache.get(params)
  }

  /** Fetches a token for each of the workload's identities, always from the agent. */
  async fetchJwtSvids(params: JwtSvidParams): Promise<readonly JwtSvid[]> {
    this.#assertOpen()
    return this.#client.fetchJwtSvids(params)
  }

  /** @throws SourceError, JwtBundleError */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle {
    const bundles = this.#subscription.get()
    const { state, updatedAt = 0, attempts, lastError } = this.#subscription.health()
    if (state === 'stale' && this.#clock() - updatedAt > this.#maxStaleMs)
      throw new SourceError('stale', 'jwtsource: the agent has been unreachable for too long', {
        attempts,
        cause: lastError,
      })
    return bundles.getJwtBundle(trustDomain)
  }

  health(): SourceHealth {
    return this.#subscription.health()
  }

  close(): void {
    this.#closed = true
    this.#cache.clear()
    this.#subscription.close()
    this.#client.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new SourceError('closed', 'jwtsource: source is closed')
  }
}
