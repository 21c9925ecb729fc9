import { EventEmitter } from 'node:events'
import { systemClock } from '../clock.ts'
import type { JwtBundle, JwtBundleSet, JwtBundleSource } from '../jwt-bundle/index.ts'
import type { TrustDomain } from '../spiffe-id/index.ts'
import { WorkloadApiClient, type WorkloadApiClientOptions } from '../workload-api/index.ts'
import type { X509Bundle, X509BundleSet, X509BundleSource } from '../x509-bundle/index.ts'
import { type ReadyOptions, type SourceHealth, Subscription } from './subscription.ts'

interface BundleSourceEvents {
  update: [X509BundleSet | JwtBundleSet]
  withdraw: [Error]
  failure: [Error]
}

/** X.509 and JWT bundles, for programs that verify others but need no identity. */
export class BundleSource
  extends EventEmitter<BundleSourceEvents>
  implements X509BundleSource, JwtBundleSource
{
  readonly #client: WorkloadApiClient
  readonly #x509: Subscription<X509BundleSet>
  readonly #jwt: Subscription<JwtBundleSet>

  /** Starts watching; {@link ready} resolves when bundles of both kinds are available. @throws AddressError */
  constructor(options: WorkloadApiClientOptions = {}) {
    super()
    this.#client = new WorkloadApiClient(options)
    const clock = options.clock ?? systemClock
    this.#x509 = new Subscription<X509BundleSet>({
      name: 'bundlesource',
      clock,
      watch: (watcher, signal) => this.#client.watchX509Bundles(watcher, signal),
      equals: (a, b) => a.equals(b),
    })
    this.#jwt = new Subscription<JwtBundleSet>({
      name: 'bundlesource',
      clock,
      watch: (watcher, signal) => this.#client.watchJwtBundles(watcher, signal),
      equals: (a, b) => a.equals(b),
    })
    this.#x509.on('update', (bundles) => this.emit('update', bundles))
    this.#jwt.on('update', (bundles) => this.emit('update', bundles))
    for (const subscription of [this.#x509, this.#jwt]) {
      subscription.on('withdraw', (error) => this.emit('withdraw', error))
      subscription.on('failure', (error) => this.emit('failure', error))
    }
  }

  /** Opens a source and waits for its bundles. @throws SourceError after closing everything */
  static async open(options: WorkloadApiClientOptions & ReadyOptions = {}): Promise<BundleSource> {
    const source = new BundleSource(options)
    try {
      await source.ready(options)
      return source
    } catch (error) {
      source.close()
      throw error
    }
  }

  async ready(options?: ReadyOptions): Promise<void> {
    await Promise.all([this.#x509.ready(options), this.#jwt.ready(options)])
  }

  get x509Bundles(): readonly X509Bundle[] {
    return this.#x509.get().x509Bundles
  }

  getX509Bundle(trustDomain: TrustDomain): X509Bundle {
    return this.#x509.get().getX509Bundle(trustDomain)
  }

  getJwtBundle(trustDomain: TrustDomain): JwtBundle {
    return this.#jwt.get().getJwtBundle(trustDomain)
  }

  health(): { readonly x509: SourceHealth; readonly jwt: SourceHealth } {
    return { x509: this.#x509.health(), jwt: this.#jwt.health() }
  }

  close(): void {
    this.#x509.close()
    this.#jwt.close()
    this.#client.close()
  }
}
