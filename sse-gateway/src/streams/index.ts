export { StreamRegistry, StreamSession } from './gateway-streams.ts'
export { Reintrospection } from './reintrospection.ts'
export { StreamMetrics } from './stream-metrics.ts'
export { WithdrawnKeys } from './withdrawn-keys.ts'
