import { LmdbStore } from './lmdb/index.ts'
import { RedisStore } from './redis/index.ts'
import type { SharedStore, StoreOptions } from './shared-store.ts'

/** Where a store is: service-kit's `storeConfig` reads it. */
export interface StorePlace {
  /** Without it, the store is embedded (lmdb). */
  readonly redis: { readonly url: string; readonly ca?: string } | undefined
  /** The folder of an embedded store. */
  readonly storeFolder: string
}

/**
 * Makes the configured store; {@link SharedStore.open} opens it.
 * @param prefix of every key in Redis, so that several services can share one database.
 */
export function storeFor(
  { redis, storeFolder }: StorePlace,
  options: StoreOptions & { readonly prefix?: string } = {},
): SharedStore {
  if (redis === undefined) return new LmdbStore({ ...options, folder: storeFolder })
  return new RedisStore({ ...options, ...redis })
}
