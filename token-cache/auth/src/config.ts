import { credentialConfig } from '@hallpass/callers'
import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { tierTrustConfig } from '@hallpass/tier-trust'

export type Config = ReturnType<typeof loadConfig>

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      port: variables.port('PORT', 8083),
      jwtFactoryUrl: variables.url('JWT_FACTORY_URL', 'http://localhost:5555'),
      /** The factory's name, as in the tokens that it makes. */
      issuer: variables.text('ISSUER', 'https://jwt-factory/'),
      /** The key that the factory signs with for this tier; also this tier's name there. */
      keyId: variables.text('KEY_ID', 'token-cache-auth'),
      /** Whom the tokens are for. */
      audience: variables.text('AUDIENCE', 'token-cache-api'),
      /** Users who get no token any more, whatever the proxies ask. */
      deniedUsers: variables.list('DENIED_USERS', []),
      credential: credentialConfig(variables),
      trust: tierTrustConfig(variables, common),
    }
  })
