export { parseRedisUrl } from './redis-url.ts'
export { RedisStore } from './store.ts'
