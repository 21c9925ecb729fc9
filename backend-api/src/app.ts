import { type Clock, httpService, type Logger, systemClock } from '@hallpass/service-kit'
import type { Config } from './config.ts'
import { sendData } from './routes/send-data.ts'

export function createApp(config: Config, log: Logger, _clock: Clock = systemClock) {
  return httpService({
    name: 'backend-api',
    log,
    listeners: [{ name: 'http', host: config.host, port: config.port }],
    routes: (routes) => {
      routes.get(config.endpoint, sendData(config.endpoint))
    },
  })
}
