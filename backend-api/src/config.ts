import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { accessTokenUse, algorithmsNamed, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'

/** One day, Auth0's default for an API. If your issuer's tokens are shorter, lower it with MAX_TOKEN_LIFETIME_S. */
const MAX_TOKEN_LIFETIME_S = 86_400

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const access = variables.oneOf('ACCESS', ['guarded', 'open'], 'guarded')
    variables.require(
      variables.optionalText('LEEWAY_S') === undefined,
      'LEEWAY_S is no longer read; set CLOCK_TOLERANCE_SECONDS instead',
    )
    return {
      ...common,
      port: variables.port('PORT', 3003),
      /** Which of the two documented responses this instance sends. */
      endpoint: variables.oneOf('ENDPOINT', ['/data', '/data2'], '/data'),
      /** Undefined with ACCESS=open, which leaves access control to a mesh. Never open by default. */
      guard:
        access === 'open'
          ? undefined
          : {
              /** Exactly as in the `iss` claim, with the trailing slash where the provider has one. */
              issuer: variables.trustedIssuer('ISSUER'),
              audience: variables.text('AUDIENCE'),
              /** `contains` for Auth0, which adds its userinfo endpoint to `aud`; `single` allows one audience. */
              audienceList: variables.oneOf('AUDIENCE_LIST', ['single', 'contains'], 'single'),
              /** The URL of the issuer's keys. Default: from its discovery document. */
              jwksUrl: variables.optionalTrustedUrl('JWKS_URL'),
              /** What tells an access token from an ID token of this issuer. */
              tokenUse: variables.parsed('TOKEN_USE', 'scoped', accessTokenUse),
              algorithms: variables.parsed('TOKEN_ALGORITHMS', SIGNATURE_ALGORITHMS.join(), (list) =>
                algorithmsNamed(list.split(',').map((name) => name.trim())),
              ),
              scopes: variables.list('REQUIRED_SCOPES', []),
              maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_S', MAX_TOKEN_LIFETIME_S, { min: 1 }),
              leewaySeconds: common.clockToleranceSeconds,
            },
    }
  })

export type Config = ReturnType<typeof loadConfig>
