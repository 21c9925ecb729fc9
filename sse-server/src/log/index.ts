export { type EventLog, IdConflictError } from './event-log.ts'
export { type LoggedEvent, RING_LIMITS } from './log-ring.ts'
export { MemoryEventLog } from './memory-event-log.ts'
export { RedisEventLog } from './redis-event-log.ts'
