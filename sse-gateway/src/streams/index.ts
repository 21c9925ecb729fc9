export { StreamRegistry, StreamSession } from './gateway-streams.ts'
export { StreamMetrics } from './stream-metrics.ts'
export { WithdrawnKeys } from './withdrawn-keys.ts'
