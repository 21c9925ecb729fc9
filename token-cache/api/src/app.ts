import { tlsListener } from '@hallpass/certificates'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import {
  type Clock,
  type HttpService,
  httpService,
  type Logger,
  requireBearer,
  systemClock,
  UnusableKeys,
} from '@hallpass/service-kit'
import { anySubject, cachedVerifier, remoteKeys, type VerificationRules } from '@hallpass/tokens'
import type { Config } from './config.ts'
import { greet } from './routes/greet.ts'

export { loadConfig } from './config.ts'

/** Creates the API that the token cache protects. It trusts only tokens, not proxies. */
export function createApp(config: Config, log: Logger, clock: Clock = systemClock): HttpService {
  const factory = createJwtFactoryClient({ baseUrl: config.jwtFactoryUrl })
  const unusable = new UnusableKeys(log)
  const rules: VerificationRules = {
    issuer: config.issuer,
    audience: config.audience,
    subject: anySubject,
    keys: remoteKeys({
      issuer: config.issuer,
      load: () => factory.jwks(),
      loadKey: (kid) => factory.jwksWith(kid),
      onUnusable: unusable.of(config.issuer),
      clock,
    }),
    maxLifetimeSeconds: config.maxLifetimeSeconds,
    leewaySeconds: config.clockToleranceSeconds,
    clock,
  }
  const guard = requireBearer({ realm: 'token-cache-api', verify: cachedVerifier(rules) })

  return httpService({
    name: 'token-cache-api',
    log,
    config,
    listeners: [
      {
        name: config.secure ? 'https' : 'http',
        host: config.host,
        port: config.port,
        ...(config.secure ? tlsListener(config, log) : {}),
      },
    ],
    warnings: unusable.warnings,
    routes: (app) => {
      app.get('/', guard, greet)
    },
  })
}
