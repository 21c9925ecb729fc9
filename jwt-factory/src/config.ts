import { callersConfig } from '@hallpass/callers'
import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'

/** An hour, as documented: callers that keep a token need not come back soon, and a stolen one ends today. */
const TOKEN_LIFETIME_SECONDS = 3600

export type Config = ReturnType<typeof loadConfig>

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      port: variables.port('PORT', 5555),
      /** The `iss` of every token, and the audience of a caller's proof. */
      issuer: variables.text('ISSUER', 'https://jwt-factory/'),
      /** Where others reach this service; stands in its metadata. */
      publicUrl: variables.optionalUrl('PUBLIC_URL'),
      algorithm: variables.oneOf('ALGORITHM', ['RS256', 'PS256', 'ES256', 'EdDSA'], 'RS256'),
      tokenLifetimeSeconds: variables.integer('TOKEN_LIFETIME_SECONDS', TOKEN_LIFETIME_SECONDS, {
        min: 1,
        max: TOKEN_LIFETIME_SECONDS,
      }),
      callers: callersConfig(variables, common),
    }
  })
