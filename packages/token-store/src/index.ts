export { LmdbStore } from './lmdb-store.ts'
export { RedisStore } from './redis-store.ts'
export {
  type Lease,
  type SeenEntry,
  type SharedStore,
  type StoredEntry,
  StoreUnavailableError,
  type Zone,
} from './shared-store.ts'
