import { introspectionCredential } from '@hallpass/callers/introspection'
import { commonConfig, type Environment, readConfig, type VariableReader } from '@hallpass/service-kit'
import { accessTokenUse, algorithmsIn, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'

/** One day, Auth0's default for an API. If your issuer's tokens are shorter, lower it with MAX_TOKEN_LIFETIME_S. */
const MAX_TOKEN_LIFETIME_S = 86_400
/** A revoked token is accepted for at most this time; at ten requests per second, it saves 99 % of the calls. */
const INTROSPECTION_CACHE_S = 10
/** More would undo what introspection is for. */
const MAX_INTROSPECTION_CACHE_S = 300

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
              /**
               * The issuer, exactly as in the `iss` claim, with the trailing slash where the provider has one, and the URL of its
               * keys, by default from its discovery document.
               */
              ...variables.issuerWithKeys({ issuer: 'ISSUER', jwksUrl: 'JWKS_URL' }),
              audience: variables.text('AUDIENCE'),
              /** `contains` for Auth0, which adds its userinfo endpoint to `aud`; `single` allows one audience. */
              audienceList: variables.oneOf('AUDIENCE_LIST', ['single', 'contains'], 'single'),
              /** How tokens are verified: here, by their issuer, or, with `auto`, JWTs here and others by their issuer. */
              validation: variables.oneOf('TOKEN_VALIDATION', ['jwt', 'introspection', 'auto'], 'jwt'),
              introspection: introspectionConfig(variables),
              /** What tells an access token from an ID token of this issuer. */
              tokenUse: variables.parsed('TOKEN_USE', 'scoped', accessTokenUse),
              algorithms: variables.parsed('TOKEN_ALGORITHMS', SIGNATURE_ALGORITHMS.join(), algorithmsIn),
              scopes: variables.scopes('REQUIRED_SCOPES', []),
              maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_S', MAX_TOKEN_LIFETIME_S, { min: 1 }),
              leewaySeconds: common.clockToleranceSeconds,
            },
    }
  })

const INTROSPECTION_VARIABLES = [
  'INTROSPECTION_URL',
  'INTROSPECTION_CLIENT_ID',
  'INTROSPECTION_CLIENT_SECRET_FILE',
  'INTROSPECTION_AUDIENCE',
  'INTROSPECTION_CACHE_SECONDS',
]

/** Reads how the issuer is asked about tokens; undefined if it is not. */
function introspectionConfig(variables: VariableReader) {
  const validation = variables.optionalText('TOKEN_VALIDATION') ?? 'jwt'
  if (validation === 'jwt') {
    for (const name of INTROSPECTION_VARIABLES)
      variables.require(
        variables.optionalText(name) === undefined,
        `${name} needs TOKEN_VALIDATION=introspection or auto`,
      )
    return undefined
  }
  const url = variables.optionalUrl('INTROSPECTION_URL')
  const clientSecretFile = variables.optionalText('INTROSPECTION_CLIENT_SECRET_FILE')
  const credential = introspectionCredential(
    variables,
    { url: 'INTROSPECTION_URL', clientSecretFile: 'INTROSPECTION_CLIENT_SECRET_FILE' },
    { url, clientSecretFile },
  )
  const answeredAudience = variables.oneOf('INTROSPECTION_AUDIENCE', ['required', 'optional'], 'required')
  variables.require(
    answeredAudience === 'required' || variables.scopes('REQUIRED_SCOPES', []).length > 0,
    'INTROSPECTION_AUDIENCE=optional needs REQUIRED_SCOPES, or tokens for any other service of the issuer would be accepted',
  )
  return {
    url,
    clientId: variables.text('INTROSPECTION_CLIENT_ID'),
    clientSecretFile,
    credential,
    answeredAudience,
    cacheMs:
      1000 *
      variables.seconds('INTROSPECTION_CACHE_SECONDS', INTROSPECTION_CACHE_S, {
        max: MAX_INTROSPECTION_CACHE_S,
      }),
  }
}

export type Config = ReturnType<typeof loadConfig>
