export { LmdbStore } from './lmdb/store.ts'
export { RedisStore } from './redis/store.ts'
export {
  type Change,
  type Lease,
  type SeenEntry,
  type SharedStore,
  type StoredEntry,
  StoreFullError,
  StoreUnavailableError,
  type StoreUsage,
  UnsafeStoreError,
  type Zone,
} from './shared-store.ts'
