export { RedisStore } from './store.ts'
