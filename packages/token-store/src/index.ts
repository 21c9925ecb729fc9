export { LmdbStore } from './lmdb/index.ts'
export { type SealedEntry, SealedStore, type SealedZone, SecretMismatchError } from './sealed/index.ts'
export {
  type Change,
  type Lease,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  type SeenEntry,
  type SharedStore,
  type StoredEntry,
  StoreFullError,
  StoreLockedError,
  StoreUnavailableError,
  type StoreUsage,
  UnsafeStoreError,
  type Zone,
} from './shared-store.ts'
export { type StorePlace, storeFor } from './store-for.ts'
