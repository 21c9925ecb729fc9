import { type Clock, httpService, type Logger, systemClock, UnusableKeys } from '@hallpass/service-kit'
import type { Config } from './config.ts'
import { requireAccessToken } from './require-access-token.ts'
import { sendData } from './routes/send-data.ts'

export { loadConfig } from './config.ts'

export function createApp(config: Config, log: Logger, clock: Clock = systemClock) {
  const { endpoint, guard } = config
  const unusable = new UnusableKeys(log)
  const guards = guard ? [requireAccessToken(guard, clock, unusable)] : []
  return httpService({
    name: 'backend-api',
    log,
    config,
    listeners: [{ name: 'http', host: config.host, port: config.port }],
    warnings: unusable.warnings,
    routes: (routes) => {
      routes.get(endpoint, guards, sendData(endpoint))
    },
  })
}
