import { commonConfig, type Environment, isLoopback, readConfig, tlsConfig } from '@hallpass/service-kit'

export type Config = ReturnType<typeof loadConfig>

/** Tokens of jwt-factory are valid for at most an hour. */
const MAX_LIFETIME_SECONDS = 3600

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const secure = variables.flag('TLS', common.production)
    variables.require(
      !common.requiresTls || secure || isLoopback(common.host),
      'TLS=false is not allowed with NODE_ENV=production, because the API receives tokens, unless MESH names the mesh that ' +
        'encrypts and authenticates its connections',
    )
    return {
      ...common,
      port: variables.port('PORT', 8084),
      /** Uses TLS; required between machines because the API receives bearer tokens. */
      secure,
      tls: tlsConfig(variables, common),
      jwtFactoryUrl: variables.trustedUrl('JWT_FACTORY_URL', 'http://localhost:5555'),
      issuer: variables.trustedIssuer('ISSUER', 'https://jwt-factory/'),
      audience: variables.text('AUDIENCE', 'token-cache-api'),
      maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_SECONDS', MAX_LIFETIME_SECONDS, { min: 1 }),
    }
  })
