import { pause } from '@hallpass/untrusted/timers'
import type { SpiffeBundle } from '../spiffe-bundle/bundle.ts'
import type { TrustDomainLike } from '../spiffe-id/parse.ts'
import { fetchBundle, type SpiffeProfile, type WebProfile } from './fetch.ts'

/** For publishers that do not say how often (Federation §4.1). */
const DEFAULT_REFRESH_SECONDS = 300
/** However eager a publisher is, it is not asked more often than this. */
const MIN_REFRESH_SECONDS = 1
/** However patient a publisher is, it is asked once a day: one mistaken hint must not keep its next keys away. */
const MAX_REFRESH_SECONDS = 86_400

export interface BundleWatcher {
  /** The bundle is new or has changed. */
  onUpdate(bundle: SpiffeBundle): void
  /** A poll failed; the bundle from before stays, and the next poll is due as usual. */
  onError?(error: Error): void
}

export interface WatchBundleOptions {
  /** How long until the next poll, in seconds; by default what the bundle hints at, up to a day, or five minutes. */
  readonly refreshSeconds?: (bundle: SpiffeBundle | undefined) => number
  /** The bundle to begin with; `https_spiffe` needs one to verify the endpoint. */
  readonly initial?: SpiffeBundle
}

/**
 * Polls the endpoint of a trust domain until the signal says stop. With `https_spiffe` the profile is asked for
 * anew each time, so that the bundle of the last poll verifies the endpoint of the next one.
 */
export async function watchBundle(
  trustDomain: TrustDomainLike,
  url: string,
  profile: (newest: SpiffeBundle | undefined) => WebProfile | SpiffeProfile,
  watcher: BundleWatcher,
  signal: AbortSignal,
  { refreshSeconds = hinted, initial }: WatchBundleOptions = {},
): Promise<void> {
  let newest = initial
  while (!signal.aborted) {
    try {
      const fetched = await fetchBundle(trustDomain, url, profile(newest), { signal })
      const changed = newest === undefined || !newest.equals(fetched)
      newest = fetched
      if (changed) watcher.onUpdate(fetched)
    } catch (error) {
      if (signal.aborted) return
      watcher.onError?.(error as Error)
    }
    await pause(refreshSeconds(newest) * 1000, signal)
  }
}

const hinted = (bundle: SpiffeBundle | undefined) =>
  Math.min(
    MAX_REFRESH_SECONDS,
    Math.max(MIN_REFRESH_SECONDS, bundle?.refreshHintSeconds || DEFAULT_REFRESH_SECONDS),
  )
