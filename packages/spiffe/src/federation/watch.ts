import { pause } from '@hallpass/untrusted/timers'
import type { SpiffeBundle } from '../spiffe-bundle/index.ts'
import type { TrustDomainLike } from '../spiffe-id/index.ts'
import { fetchBundle, type SpiffeProfile, type WebProfile } from './fetch.ts'

/** For publishers without a refresh hint (Federation §4.1). */
const DEFAULT_REFRESH_SECONDS = 300
/** Lower bound for refresh hints. */
const MIN_REFRESH_SECONDS = 1
/** Upper bound for refresh hints: a mistaken hint must not prevent key updates for more than a day. */
const MAX_REFRESH_SECONDS = 86_400

export interface BundleWatcher {
  /** Called when the bundle is new or has changed. */
  onUpdate(bundle: SpiffeBundle): void
  /** Called when a poll fails. The previous bundle stays, and polling continues as usual. */
  onError?(error: Error): void
}

export interface WatchBundleOptions {
  /** Returns the seconds until the next poll; by default the bundle's refresh hint, up to a day, or five minutes. */
  readonly refreshSeconds?: (bundle: SpiffeBundle | undefined) => number
  /** The initial bundle; `https_spiffe` needs one to verify the endpoint. */
  readonly initial?: SpiffeBundle
}

/**
 * Polls a bundle endpoint until the signal is aborted. `profile` is called for each poll, so that with `https_spiffe` the
 * newest bundle verifies the endpoint.
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
