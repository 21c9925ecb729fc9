import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { readIfThere, writePublicFile } from '@hallpass/private-files'
import type { Logger } from '@hallpass/service-kit'
import { SpiffeBundle, type SpiffeProfile, type WebProfile, watchBundle } from '@hallpass/spiffe'
import type { Federation } from '../entries/index.ts'
import type { Bundles } from './bundles.ts'

export interface FederatedBundlesOptions {
  readonly bundles: Bundles
  /** Stores the newest bundle of each trust domain, so that a restart does not fall back to the first one. */
  readonly folder: string
  /** `bundleFile` is relative to the entries file. */
  readonly entriesFile: string
  /** `https_web`: the CA certificates for bundle endpoints. */
  readonly caFile: string
  readonly changed: () => void
  readonly log: Logger
}

/** Keeps the bundles of other trust domains up to date: polls each at its publisher's refresh hint. */
export class FederatedBundles {
  readonly #options: FederatedBundlesOptions
  readonly #watched = new Map<string, { readonly federation: string; readonly stop: AbortController }>()

  #writing: Promise<void> = Promise.resolve()

  constructor(options: FederatedBundlesOptions) {
    this.#options = options
  }

  /** Watches only these trust domains from now on; resolves when the bundles on disk are active. */
  async follow(federation: readonly Federation[]): Promise<void> {
    const { bundles, changed } = this.#options
    const wanted = new Map(federation.map((foreign) => [foreign.trustDomain, foreign]))
    for (const [name, { federation: known, stop }] of this.#watched) {
      const foreign = wanted.get(name)
      if (foreign && JSON.stringify(foreign) === known) wanted.delete(name)
      else {
        stop.abort()
        this.#watched.delete(name)
      }
    }
    if (bundles.keepFederated(federation.map(({ trustDomain }) => trustDomain))) changed()
    await Promise.all([...wanted.values()].map((foreign) => this.#begin(foreign)))
  }

  async stop(): Promise<void> {
    for (const { stop } of this.#watched.values()) stop.abort()
    this.#watched.clear()
    await this.#writing
  }

  async #begin(foreign: Federation) {
    const { bundles, caFile, changed, log } = this.#options
    const { trustDomain, endpointUrl } = foreign
    const stop = new AbortController()
    this.#watched.set(trustDomain, { federation: JSON.stringify(foreign), stop })
    const initial = await this.#newestOnDisk(foreign)
    if (initial && bundles.setFederated(initial)) changed()
    const ca = foreign.profile === 'https_web' ? await readIfThere(caFile) : undefined
    const profile = (): WebProfile | SpiffeProfile =>
      foreign.profile === 'https_web'
        ? { profile: 'https_web', ...(ca === undefined ? {} : { ca }) }
        : {
            profile: 'https_spiffe',
            endpointId: foreign.endpointSpiffeId as string,
            bundles: bundles.asSource(),
          }
    const watcher = {
      onUpdate: (bundle: SpiffeBundle) => {
        if (!bundles.setFederated(bundle)) return
        log.info({ trustDomain, sequence: bundle.sequence }, 'a federated bundle has changed')
        changed()
        const write = () => writePublicFile(this.#file(trustDomain), bundle.toJson())
        this.#writing = this.#writing
          .then(write)
          .catch((error) => log.error({ err: error, trustDomain }, 'cannot store a federated bundle'))
      },
      onError: (error: Error) => log.warn({ err: error, trustDomain }, 'cannot fetch a federated bundle'),
    }
    watchBundle(trustDomain, endpointUrl, profile, watcher, stop.signal, initial ? { initial } : {}).catch(
      (error) => log.error({ err: error, trustDomain }, 'stopped watching a federated bundle'),
    )
  }

  /** Returns the last fetched bundle or the manually copied one, whichever is newer. */
  async #newestOnDisk({ trustDomain, bundleFile }: Federation): Promise<SpiffeBundle | undefined> {
    const { entriesFile, log } = this.#options
    const texts = [
      await readIfThere(this.#file(trustDomain)),
      bundleFile
        ? await readFile(resolve(dirname(entriesFile), bundleFile), 'utf8').catch(() => undefined)
        : undefined,
    ]
    const found: SpiffeBundle[] = []
    for (const text of texts) {
      try {
        if (text !== undefined) found.push(SpiffeBundle.ofJson(trustDomain, text))
      } catch (error) {
        log.error({ err: error, trustDomain }, 'a bundle on disk cannot be used')
      }
    }
    // A 64-bit sequence can be a bigint; `>` compares it with numbers exactly.
    const isNewer = (a: SpiffeBundle, b: SpiffeBundle) => (a.sequence ?? 0) > (b.sequence ?? 0)
    return found.reduce<SpiffeBundle | undefined>(
      (newest, bundle) => (newest && !isNewer(bundle, newest) ? newest : bundle),
      undefined,
    )
  }

  #file = (trustDomain: string) => join(this.#options.folder, 'federated', `${trustDomain}.json`)
}
