export { LmdbStore } from './store.ts'
