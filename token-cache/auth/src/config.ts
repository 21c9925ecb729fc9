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
      jwtFactoryUrl: variables.trustedUrl('JWT_FACTORY_URL', 'http://localhost:5555'),
      /** The factory's issuer name, as in its tokens. */
      issuer: variables.trustedIssuer('ISSUER', 'https://jwt-factory/'),
      /** The key with which the factory signs for this tier; also this tier's client ID there. */
      keyId: variables.text('KEY_ID', 'token-cache-auth'),
      /** The audience of the tokens. */
      audience: variables.text('AUDIENCE', 'token-cache-api'),
      /** Users that get no new tokens. */
      deniedUsers: variables.list('DENIED_USERS', []),
      credential: credentialConfig(variables),
      trust: tierTrustConfig(variables, common),
    }
  })
