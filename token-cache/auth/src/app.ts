import { authorizationFor } from '@hallpass/callers'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import { type HttpService, httpService, type Logger } from '@hallpass/service-kit'
import { TierTrust } from '@hallpass/tier-trust'
import type { Config } from './config.ts'
import { requireTier } from './require-tier.ts'
import { issueForUser } from './routes/issue-for-user.ts'

export { loadConfig } from './config.ts'

/** Creates the auth tier, which issues tokens for users on request of the proxies, and of no other caller. */
export async function createApp(config: Config, log: Logger): Promise<HttpService> {
  const trust = new TierTrust(config.trust)
  await trust.load()
  const factory = createJwtFactoryClient({
    baseUrl: config.jwtFactoryUrl,
    authorization: authorizationFor(config.credential, { clientId: config.keyId, audience: config.issuer }),
  })

  return httpService({
    name: 'token-cache-auth',
    log,
    config,
    listeners: [
      {
        name: config.trust.kind === 'certificate' ? 'https' : 'http',
        host: config.host,
        port: config.port,
        ...(config.trust.kind === 'certificate' ? trust.listener(log) : {}),
      },
    ],
    routes: (app) => {
      app.get('/auth', requireTier(trust), issueForUser(factory, config))
    },
  })
}
