import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'

/** Auth0's default for an API is a day; whoever issues shorter tokens should say so with MAX_TOKEN_LIFETIME_S. */
const MAX_TOKEN_LIFETIME_S = 86_400

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const access = variables.oneOf('ACCESS', ['guarded', 'open'], 'guarded')
    return {
      ...commonConfig(variables),
      port: variables.port('PORT', 3003),
      /** Which of the two documented answers this instance gives. */
      endpoint: variables.oneOf('ENDPOINT', ['/data', '/data2'], '/data'),
      /** `open` leaves the guard to a mesh in front; there is no default that lets everybody in. */
      guard:
        access === 'open'
          ? undefined
          : {
              /** Exactly as in the `iss` claim, with the trailing slash where the provider has one. */
              issuer: variables.text('ISSUER'),
              audience: variables.text('AUDIENCE'),
              /** Auth0 adds its userinfo endpoint to `aud`; where that is not so, a token for two is refused. */
              audienceList: variables.oneOf('AUDIENCE_LIST', ['single', 'contains'], 'single'),
              /** Where the issuer's keys are; without it, its discovery document is asked. */
              jwksUrl: variables.optionalUrl('JWKS_URL'),
              scopes: variables.list('REQUIRED_SCOPES', []),
              maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_S', MAX_TOKEN_LIFETIME_S, { min: 1 }),
              leewaySeconds: variables.seconds('LEEWAY_S', 0, { max: 60 }),
            },
    }
  })

export type Config = ReturnType<typeof loadConfig>
