import { credentialConfig } from '@hallpass/callers'
import {
  commonConfig,
  type Environment,
  httpsConfig,
  readConfig,
  type VariableReader,
} from '@hallpass/service-kit'
import { accessTokenUse, algorithmsIn, libraryNamed, type TokenLibrary } from '@hallpass/tokens'

export type CalleeConfig = ReturnType<ReturnType<typeof calleeConfig>>

/** The lifetime of Auth0's tokens for an API by default. */
const MAX_TOKEN_LIFETIME_S = 86_400

/** Returns the `loadConfig` of a callee with these default ports. @param audience its own name */
export const calleeConfig =
  ({ audience, ...ports }: { readonly audience: string; readonly http: number; readonly https: number }) =>
  (env: Environment) =>
    readConfig(env, (variables) => {
      const common = commonConfig(variables)
      const jwtFactoryUrl = variables.trustedUrl('JWT_FACTORY_URL', 'http://localhost:5555')
      /** The library that verifies tokens here; all of them behave the same. */
      const library = variables.parsed('TOKEN_LIBRARY', 'node-crypto', (name) =>
        libraryNamed(name, ['RS256']),
      )
      const jwtFactoryIssuer = variables.trustedIssuer('JWT_FACTORY_ISSUER', 'https://jwt-factory/')
      return {
        ...common,
        /** The callee's own name, which tokens must have as their audience. */
        audience,
        port: variables.port('PORT', ports.http),
        ...httpsConfig(variables, common, { port: ports.https }),
        /** The issuer of scenarios 1 and 2, and how this service authenticates to it. */
        jwtFactoryUrl,
        jwtFactoryIssuer,
        /** Whether its tokens are verified here, with its keys and status lists, instead of by a call for each. */
        verifiesOffline:
          variables.oneOf('VERIFY_ISSUED_TOKENS', ['online', 'offline'], 'online') === 'offline',
        /** What the URIs of its status lists begin with; another than its URL if the factory has a PUBLIC_URL. */
        statusListsUrl: withSlash(
          variables.optionalTrustedUrl('STATUS_LISTS_URL') ?? `${jwtFactoryUrl}/status-lists/`,
        ),
        peerTimeoutMs: variables.milliseconds('PEER_TIMEOUT_MS', 5_000, { min: 10, max: 60_000 }),
        credential: credentialConfig(variables),
        library,
        foreign: foreignIssuerConfig(variables, { audience, jwtFactoryIssuer, library }),
      }
    })

const withSlash = (url: string) => new URL(url.endsWith('/') ? url : `${url}/`).href

/** Reads which tokens of another issuer scenarios 1 and 2 accept; undefined without `TOKEN_ISSUER`. */
function foreignIssuerConfig(
  variables: VariableReader,
  own: {
    readonly audience: string
    readonly jwtFactoryIssuer: string
    readonly library: TokenLibrary | undefined
  },
) {
  const issuer = variables.optionalText('TOKEN_ISSUER')
  if (issuer === undefined) {
    const ignored = FOREIGN_VARIABLES.filter((name) => variables.optionalText(name) !== undefined)
    variables.require(
      ignored.length === 0,
      `${ignored.join(', ')} ${ignored.length === 1 ? 'needs' : 'need'} TOKEN_ISSUER, which is not set`,
    )
    return undefined
  }
  variables.require(
    issuer !== own.jwtFactoryIssuer,
    'TOKEN_ISSUER must not be JWT_FACTORY_ISSUER: an issuer has one verifier',
  )
  const { jwksUrl } = variables.issuerWithKeys({ issuer: 'TOKEN_ISSUER', jwksUrl: 'TOKEN_JWKS_URL' })
  return {
    /** Exactly as in the `iss` claim, with the slash at the end if it has one. */
    issuer,
    audience: variables.text('TOKEN_AUDIENCE', own.audience),
    audienceList: variables.oneOf('TOKEN_AUDIENCE_LIST', ['single', 'contains'], 'single'),
    jwksUrl,
    subject: variables.optionalText('TOKEN_SUBJECT'),
    scopes: variables.scopes('TOKEN_SCOPES', []),
    tokenUse: variables.parsed('TOKEN_USE', 'scoped', accessTokenUse),
    /** By default all that the library supports. */
    algorithms: variables.parsed('TOKEN_ALGORITHMS', own.library?.algorithms.join() ?? '', (list) => {
      const algorithms = algorithmsIn(list)
      if (own.library) libraryNamed(own.library.name, algorithms)
      return algorithms
    }),
    maxLifetimeSeconds: variables.seconds('TOKEN_MAX_LIFETIME_S', MAX_TOKEN_LIFETIME_S, { min: 1 }),
  }
}

const FOREIGN_VARIABLES = [
  'TOKEN_AUDIENCE',
  'TOKEN_AUDIENCE_LIST',
  'TOKEN_JWKS_URL',
  'TOKEN_SUBJECT',
  'TOKEN_SCOPES',
  'TOKEN_USE',
  'TOKEN_ALGORITHMS',
  'TOKEN_MAX_LIFETIME_S',
]
