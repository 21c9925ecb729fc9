export { holdWriteLock, type LockHoldingProcess } from './hold-lock.ts'
export { startRedis, type TestRedis } from './redis.ts'
export { RedisServers, type RedisTier } from './redis-servers.ts'
