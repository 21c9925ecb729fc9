import { EventEmitter } from 'node:events'
import { type Clock, systemClock } from '../clock.ts'
import type { TrustDomain } from '../spiffe-id/index.ts'
import { WorkloadApiClient, type WorkloadApiClientOptions, type X509Context } from '../workload-api/index.ts'
import type { X509Bundle, X509BundleSource } from '../x509-bundle/index.ts'
import type { X509Svid, X509SvidSource } from '../x509-svid/index.ts'
import { type ReadyOptions, SourceError, type SourceHealth, Subscription } from './subscription.ts'

export interface X509SourceOptions extends WorkloadApiClientOptions {
  /** Selects one of several identities; by default the first. */
  readonly pickSvid?: (svids: readonly X509Svid[]) => X509Svid
}

export interface X509SourceHealth extends SourceHealth {
  /** When the SVID expires, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  readonly expired: boolean
}

interface X509SourceEvents {
  /** The SVID or a bundle has changed. */
  update: [X509Svid]
  /** The agent has withdrawn the identity. */
  withdraw: [Error]
  /** An attempt to reach the agent failed; the source continues. */
  failure: [Error]
}

/**
 * The workload's own X.509-SVID, and the bundles that verify others, kept up to date through the Workload API. They rotate
 * without a restart and are withdrawn when the agent withdraws them. An SVID expires at notAfter even without the agent.
 */
export class X509Source extends EventEmitter<X509SourceEvents> implements X509SvidSource, X509BundleSource {
  readonly #client: WorkloadApiClient
  readonly #subscription: Subscription<X509Context>
  readonly #clock: Clock
  readonly #pick: (svids: readonly X509Svid[]) => X509Svid

  /** Starts watching; {@link ready} resolves when an SVID is available. @throws AddressError */
  constructor(options: X509SourceOptions = {}) {
    super()
    this.#client = new WorkloadApiClient(options)
    this.#clock = options.clock ?? systemClock
    this.#pick = options.pickSvid ?? ((svids) => svids[0] as X509Svid)
    this.#subscription = new Subscription<X509Context>({
      name: 'x509source',
      clock: this.#clock,
      watch: (watcher, signal) => this.#client.watchX509Context(watcher, signal),
      equals: equalContexts,
    })
    this.#subscription.on('update', ({ svids }) => this.emit('update', this.#pick(svids)))
    this.#subscription.on('withdraw', (error) => this.emit('withdraw', error))
    this.#subscription.on('failure', (error) => this.emit('failure', error))
  }

  /** Opens a source and waits for its SVID. @throws SourceError after closing everything */
  static async open(options: X509SourceOptions & ReadyOptions = {}): Promise<X509Source> {
    const source = new X509Source(options)
    try {
      await source.ready(options)
      return source
    } catch (error) {
      source.close()
      throw error
    }
  }

  /** Waits for the first SVID. @throws SourceError with attempts, cause and hint */
  ready(options?: ReadyOptions): Promise<void> {
    return this.#subscription.ready(options)
  }

  /** @throws SourceError if no valid SVID is available, e.g. `svid_expired`; never returns an expired one */
  getX509Svid(): X509Svid {
    const svid = this.#pick(this.#subscription.get().svids)
    if (this.#clock() >= svid.expiresAt) throw this.#expired(svid)
    return svid
  }

  getX509Bundle(trustDomain: TrustDomain): X509Bundle {
    return this.#subscription.get().bundles.getX509Bundle(trustDomain)
  }

  /** The bundles of all trust domains; they must be kept separate, not merged. */
  get x509Bundles(): readonly X509Bundle[] {
    return this.#subscription.get().bundles.x509Bundles
  }

  health(): X509SourceHealth {
    const health = this.#subscription.health()
    const serving = health.state === 'current' || health.state === 'stale'
    const expiresAt = serving ? this.#pick(this.#subscription.get().svids).expiresAt : undefined
    return { ...health, expiresAt, expired: expiresAt !== undefined && this.#clock() >= expiresAt }
  }

  close(): void {
    this.#subscription.close()
    this.#client.close()
  }

  #expired(svid: X509Svid): SourceError {
    const { attempts, lastError } = this.#subscription.health()
    const since = lastError ? `; the agent has not renewed it: ${lastError.message}` : ''
    return new SourceError(
      'svid_expired',
      `x509source: the SVID of ${svid.id} expired at ${new Date(svid.expiresAt).toISOString()}${since}`,
      { attempts, cause: lastError },
    )
  }
}

function equalContexts(a: X509Context, b: X509Context): boolean {
  return (
    a.svids.length === b.svids.length &&
    a.svids.every((svid, index) => b.svids[index]?.equals(svid) ?? false) &&
    a.bundles.equals(b.bundles)
  )
}
