export { type Clock, systemClock } from './clock.ts'
export {
  type CommonConfig,
  ConfigError,
  commonConfig,
  type Environment,
  httpsConfig,
  MAX_TIMER_SECONDS,
  readConfig,
  tlsConfig,
  VariableReader,
} from './config.ts'
export { EXIT_CODES } from './exit-codes.ts'
export { ExpiringSet } from './expiring-set.ts'
export { type RedisConfig, redisConfig, storeConfig } from './redis-config.ts'
export { run, STOP_DEADLINE_MS } from './run.ts'
export type { Service } from './service.ts'
export { Tally } from './tally.ts'
export { isLoopback, keySourceProblems, plainUrlProblem, urlHost } from './transport.ts'
