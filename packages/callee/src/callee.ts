import { tlsFiles } from '@hallpass/certificates'
import { serviceAGuards } from '@hallpass/service-a/client'
import {
  type Clock,
  type HttpService,
  httpService,
  type Logger,
  requireTls,
  sendClaims,
  sendText,
} from '@hallpass/service-kit'
import type { Config } from './config.ts'

export { loadConfig } from './config.ts'

/** The callee of the scenarios: a table of guarded routes. */
export function createApp(config: Config, log: Logger, clock?: Clock): HttpService {
  const { byFactory, byItsOwnKey } = serviceAGuards(config, 'serviceb', clock)

  return httpService({
    name: 'service-b',
    log,
    config,
    listeners: [
      { name: 'http', host: config.host, port: config.port },
      { name: 'https', host: config.host, port: config.httpsPort, tls: () => tlsFiles(config) },
    ],
    routes: (app, hot) => {
      app.get('/hello', (_request, response) => sendText(response, 200, 'hello'))
      hot.get('/scenario1-server', byFactory, sendClaims)
      hot.get('/scenario2-server', byFactory, sendClaims)
      hot.get('/scenario3-server', requireTls, byItsOwnKey, sendClaims)
      hot.get('/scenario4-server', requireTls, byItsOwnKey, sendClaims)
    },
  })
}
