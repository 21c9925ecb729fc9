import type { Metrics } from '@hallpass/service-kit'
import type { SharedStore } from '@hallpass/token-store'
import type { Blocks } from './blocks.ts'
import type { CacheFigures } from './cache-figures.ts'
import type { TokenCache } from './token-cache.ts'

const MEANINGS: Readonly<Record<keyof CacheFigures, readonly [name: string, help: string]>> = {
  hits: ['hits_total', 'Requests that found a token.'],
  misses: ['misses_total', 'Requests that waited for a new token.'],
  stale: ['stale_total', 'Requests that got a token past its freshness, for want of a new one.'],
  issuerCalls: ['issuer_calls_total', 'Calls to the auth tier.'],
  renewals: ['renewals_total', 'Calls to the auth tier ahead of a token’s end.'],
  issuerFailures: ['issuer_failures_total', 'Calls to the auth tier that brought no token.'],
  blocked: ['blocked_total', 'Requests of blocked callers.'],
  refused: ['refused_total', 'Other requests without a token.'],
  limited: ['limited_total', 'Requests of users who have all the tokens that they may have.'],
  storeFailures: ['store_failures_total', 'Times that the shared store did not answer.'],
}

/** Shows the cache's own figures as metrics: counted once, where it happens, and read when somebody asks. */
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
  metrics.reading('token_cache_copies', 'Entries that are kept in this process.', () => cache.copies)
  metrics.reading('token_cache_blocks', 'Active blocks that this process knows.', () => blocks.count)
  metrics.reading('token_cache_store_full', '1 while the store takes no new tokens.', () =>
    Number(store.isFull),
  )
}
