export { FactoryMetrics } from './factory-metrics.ts'
