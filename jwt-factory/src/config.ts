import { callersConfig } from '@hallpass/callers'
import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { libraryNamed } from '@hallpass/tokens'

/** An hour, as documented: callers that keep a token need not come back soon, and a stolen one ends today. */
const TOKEN_LIFETIME_SECONDS = 3600

export type Config = ReturnType<typeof loadConfig>

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const algorithm = variables.oneOf('ALGORITHM', ['RS256', 'PS256', 'ES256', 'EdDSA'], 'RS256')
    return {
      ...common,
      port: variables.port('PORT', 5555),
      /** The `iss` of every token, and the audience of a caller's proof. */
      issuer: variables.text('ISSUER', 'https://jwt-factory/'),
      /** Where others reach this service; stands in its metadata. */
      publicUrl: variables.optionalUrl('PUBLIC_URL'),
      algorithm,
      /** What signs and verifies; all of them do the same. */
      library: variables.parsed('TOKEN_LIBRARY', 'node-crypto', (name) => libraryNamed(name, [algorithm])),
      tokenLifetimeSeconds: variables.seconds('TOKEN_LIFETIME_SECONDS', TOKEN_LIFETIME_SECONDS, {
        min: 1,
        max: TOKEN_LIFETIME_SECONDS,
      }),
      callers: callersConfig(variables, common),
    }
  })
