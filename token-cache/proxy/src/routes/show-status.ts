import type { Handler } from '@hallpass/service-kit'
import {
  type SharedStore,
  StoreFullError,
  StoreLockedError,
  StoreUnavailableError,
  type Zone,
} from '@hallpass/token-store'
import type { Config } from '../config.ts'
import type { Peers } from '../operators/index.ts'

export interface StatusSources {
  readonly config: Config
  readonly store: SharedStore
  readonly zone: Zone
  readonly peers: Peers
  readonly clock: () => number
}

/** Counting the entries of a Redis store scans all of them, so the count is cached. */
const COUNT_AGAIN_MS = 5_000

/** Handles `GET /status`: returns the figures of all proxies that share the store. */
export function showStatus({ config, store, zone, peers, clock }: StatusSources): Handler {
  let counted = { at: Number.NEGATIVE_INFINITY, entries: 0 }
  return async (_request, response) => {
    const problem = await store.check().then(
      () => undefined,
      (error: Error) => error,
    )
    // A full or locked store still answers reads.
    const isStoreAway =
      problem instanceof StoreUnavailableError &&
      !(problem instanceof StoreFullError || problem instanceof StoreLockedError)
    const age = performance.now() - counted.at
    if (!isStoreAway && (store.kind === 'lmdb' || age > COUNT_AGAIN_MS))
      counted = { at: performance.now(), entries: await zone.count() }
    await peers.tell()
    response.set('cache-control', 'no-store').json({
      name: config.name,
      now: clock(),
      store: {
        kind: store.kind,
        available: !isStoreAway,
        ...(problem ? { problem: problem.message } : {}),
        full: store.isFull,
        hearsOfChanges: zone.isWatching(),
        ...(await store.usage()),
        entries: counted.entries,
      },
      rules: {
        identity: config.identity === 'bearer' ? ['sub', 'iss'] : config.identityFields,
        cacheSeconds: config.maxAgeMs / 1000,
        marginSeconds: config.marginMs / 1000,
        tokensPerUser: config.tokensPerUser,
      },
      ...(isStoreAway ? { peers: [], absent: [] } : await peers.all()),
    })
  }
}
