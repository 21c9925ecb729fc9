export { streamHops } from './hop-stream.ts'
export { type HopEvent, publishHop, publishHopsTo, shownBody, shownToken } from './hops.ts'
export { createLog, cutTokens, type Logger, silentLog } from './log.ts'
export { logFailure } from './log-failure.ts'
export { boundedLabel, Counter, Gauge, Metrics } from './metrics.ts'
export { type Checks, type Probe, Probes, type Warnings } from './probes.ts'
export {
  logAlso,
  type RecordingService,
  RequestRecord,
  recordOf,
  recordRequest,
  recordUpgrade,
} from './request-record.ts'
export { currentTrace, nextHop, runInTrace, type TraceContext, traceFrom } from './trace.ts'
export {
  isTokenRefusal,
  observeVerification,
  type TokenRefusal,
  type VerifiedClaims,
} from './verification.ts'
