import { httpListeners } from '@hallpass/certificates'
import {
  type Clock,
  type Handler,
  type HttpService,
  httpService,
  type Logger,
  refusePlainTransport,
  requireTls,
  sendClaims,
  sendText,
  systemClock,
  UnusableKeys,
} from '@hallpass/service-kit'
import type { CalleeConfig } from './config.ts'
import { type GuardOptions, guards } from './guards.ts'

/** Creates the callee of the scenarios: a set of guarded routes. */
export function createCallee(
  options: GuardOptions & { readonly name: string },
  config: CalleeConfig,
  log: Logger,
  clock: Clock = systemClock,
): HttpService {
  const unusable = new UnusableKeys(log)
  const { byIssuer, byPublishedKey } = guards(options, config, clock, unusable)
  const requireTransport: Handler = (request, _response, next) => {
    if (config.requiresTls) refusePlainTransport(request)
    next()
  }

  return httpService({
    name: options.name,
    log,
    config,
    listeners: httpListeners(config, log),
    warnings: unusable.warnings,
    routes: (app) => {
      app.get('/hello', (_request, response) => sendText(response, 200, 'hello'))
      app.get('/scenario1-server', requireTransport, byIssuer, sendClaims)
      app.get('/scenario2-server', requireTransport, byIssuer, sendClaims)
      app.get('/scenario3-server', requireTls, byPublishedKey, sendClaims)
      app.get('/scenario4-server', requireTls, byPublishedKey, sendClaims)
    },
  })
}
