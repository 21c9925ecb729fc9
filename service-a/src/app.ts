import { authorizationFor, callerGuard } from '@hallpass/callers'
import { ensureDevelopmentCertificates, httpListeners } from '@hallpass/certificates'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import {
  type Clock,
  type HttpService,
  httpService,
  type Logger,
  sendText,
  systemClock,
} from '@hallpass/service-kit'
import { Callee, SpiffeCallee } from './callees/index.ts'
import type { Config } from './config.ts'
import { SERVICE_A } from './identity.ts'
import { genKeys, listOwnKeys } from './routes/gen-keys.ts'
import { scenario1 } from './routes/scenario1.ts'
import { scenario2 } from './routes/scenario2.ts'
import { scenario3 } from './routes/scenario3.ts'
import { scenario4 } from './routes/scenario4.ts'
import { scenario5 } from './routes/scenario5.ts'
import { SigningKeys } from './signing-keys.ts'
import { factoryTokens, ownTokens } from './token-source.ts'

export { loadConfig } from './config.ts'

/** Creates the caller of scenarios 1 to 5. */
export async function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
): Promise<HttpService> {
  const { peerTimeoutMs: timeoutMs } = config
  const factory = createJwtFactoryClient({
    baseUrl: config.jwtFactoryUrl,
    timeoutMs,
    authorization: authorizationFor(config.credential, {
      clientId: SERVICE_A,
      audience: config.jwtFactoryIssuer,
    }),
  })
  const { caFile } = config.tls
  const serviceB = new Callee({ name: 'serviceb', baseUrl: config.serviceBUrl, timeoutMs })
  const serviceC = new Callee({ name: 'servicec', baseUrl: config.serviceCUrl, timeoutMs })
  const serviceBOverTls = new Callee({ name: 'serviceb', baseUrl: config.serviceBTlsUrl, timeoutMs, caFile })
  const serviceCOverTls = new Callee({ name: 'servicec', baseUrl: config.serviceCTlsUrl, timeoutMs, caFile })
  const spiffeServer = new SpiffeCallee({ ...config.spiffe, timeoutMs })
  const keys = new SigningKeys({ ...config, clock })
  const fromFactory = factoryTokens(factory)
  const signedByA = ownTokens(keys)
  const callers = callerGuard(config.callers, SERVICE_A, { clock, log })

  if (config.tls.selfMade) await ensureDevelopmentCertificates(config.stateFolder)
  await callers.load()
  await keys.load()
  // With open callers the documented curl command creates the key; otherwise there may be no caller that is allowed to.
  if (!keys.exist && config.callers.mode !== 'open') await keys.rotate()

  return httpService({
    name: 'service-a',
    log,
    config,
    listeners: httpListeners(config, log),
    // The parameters of a scenario's curl command; audiences and names of faults are not secret.
    shownParameters: ['fault', 'expired', 'audience'],
    warnings: callers.warnings,
    routes: (app) => {
      app.get('/hello', (_request, response) => sendText(response, 200, 'hello'))
      app.get('/scenario1', scenario1(fromFactory, serviceB))
      app.get('/scenario2', scenario2(fromFactory, serviceB, serviceC))
      app.get('/scenario3', scenario3(signedByA, serviceBOverTls))
      app.get('/scenario4', scenario4(signedByA, serviceBOverTls, serviceCOverTls))
      app.get('/scenario5', scenario5(spiffeServer))
      app.get('/keys', callers.admin, listOwnKeys(keys))
      app.post('/gen-keys', callers.admin, genKeys(keys))
    },
    onStop: async () => {
      keys.stop()
      await spiffeServer.close()
    },
  })
}
