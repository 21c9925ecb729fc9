export { StreamMetrics } from './stream-metrics.ts'
export { ownerOf, StreamRegistry } from './stream-registry.ts'
export { type StreamLimits, StreamSession } from './stream-session.ts'
export { TimerWheel } from './timer-wheel.ts'
