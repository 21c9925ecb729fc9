import { commonConfig, type Environment, readConfig, tlsConfig } from '@hallpass/service-kit'

export type Config = ReturnType<typeof loadConfig>

/** Tokens of jwt-factory are valid for at most an hour. */
const MAX_LIFETIME_SECONDS = 3600

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      port: variables.port('PORT', 8084),
      /** Uses TLS; required between machines because the API receives bearer tokens. */
      secure: variables.flag('TLS', common.production),
      tls: tlsConfig(variables, common),
      jwtFactoryUrl: variables.trustedUrl('JWT_FACTORY_URL', 'http://localhost:5555'),
      issuer: variables.trustedIssuer('ISSUER', 'https://jwt-factory/'),
      audience: variables.text('AUDIENCE', 'token-cache-api'),
      maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_SECONDS', MAX_LIFETIME_SECONDS, { min: 1 }),
    }
  })
