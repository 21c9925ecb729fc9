import type { Metrics } from '@hallpass/service-kit'
import type { SharedStore } from '@hallpass/token-store'
import type { Blocks } from './blocks.ts'
import type { CacheFigures } from './cache-figures.ts'
import type { TokenCache } from './token-cache.ts'

const MEANINGS: Readonly<Record<keyof CacheFigures, readonly [name: string, help: string]>> = {
  hits: ['hits_total', 'Requests that used a cached token.'],
  misses: ['misses_total', 'Requests that waited for a new token.'],
  stale: ['stale_total', 'Requests that used a token past its freshness, because no new one was available.'],
  issuerCalls: ['issuer_calls_total', 'Calls to the auth tier.'],
  renewals: ['renewals_total', 'Calls to the auth tier that renewed a token before it was needed.'],
  issuerFailures: ['issuer_failures_total', 'Calls to the auth tier that returned no token.'],
  blocked: ['blocked_total', 'Requests of blocked callers.'],
  refused: ['refused_total', 'Other requests without a token.'],
  limited: ['limited_total', 'Requests of users who have reached their token limit.'],
  storeFailures: [
    'store_failures_total',
    'Requests for which the shared store did not answer or did not accept an entry.',
  ],
}

/** Registers metrics that read the cache's own figures when they are scraped. */
export function reportFigures(metrics: Metrics, cache: TokenCache, blocks: Blocks, store: SharedStore): void {
  for (const [figure, [name, help]] of Object.entries(MEANINGS)) {
    const counter = metrics.counter(`token_cache_${name}`, help)
    Object.assign(counter, {
      collect() {
        counter.reset()
        counter.inc(cache.figures[figure as keyof CacheFigures])
      },
    })
  }
  metrics.reading('token_cache_copies', 'Entries in the memory of this process.', () => cache.copies)
  metrics.reading('token_cache_blocks', 'Active blocks that this process knows.', () => blocks.count)
  metrics.reading('token_cache_store_full', '1 while the store accepts no new tokens.', () =>
    Number(store.isFull),
  )
}
