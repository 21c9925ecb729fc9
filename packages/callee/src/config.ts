import { credentialConfig } from '@hallpass/callers'
import { commonConfig, type Environment, httpsConfig, readConfig } from '@hallpass/service-kit'
import { libraryNamed } from '@hallpass/tokens'

export type CalleeConfig = ReturnType<ReturnType<typeof calleeConfig>>

/** Returns the `loadConfig` of a callee with these default ports. */
export const calleeConfig =
  (ports: { readonly http: number; readonly https: number }) => (env: Environment) =>
    readConfig(env, (variables) => {
      const common = commonConfig(variables)
      const jwtFactoryUrl = variables.trustedUrl('JWT_FACTORY_URL', 'http://localhost:5555')
      return {
        ...common,
        port: variables.port('PORT', ports.http),
        ...httpsConfig(variables, common, { port: ports.https }),
        /** The issuer of scenarios 1 and 2, and how this service authenticates to it. */
        jwtFactoryUrl,
        jwtFactoryIssuer: variables.trustedIssuer('JWT_FACTORY_ISSUER', 'https://jwt-factory/'),
        /** Whether its tokens are verified here, with its keys and status lists, instead of by a call for each. */
        verifiesOffline:
          variables.oneOf('VERIFY_ISSUED_TOKENS', ['online', 'offline'], 'online') === 'offline',
        /** What the URIs of its status lists begin with; another than its URL if the factory has a PUBLIC_URL. */
        statusListsUrl: withSlash(
          variables.optionalTrustedUrl('STATUS_LISTS_URL') ?? `${jwtFactoryUrl}/status-lists/`,
        ),
        peerTimeoutMs: variables.milliseconds('PEER_TIMEOUT_MS', 5_000, { min: 10, max: 60_000 }),
        credential: credentialConfig(variables),
        /** The library that verifies tokens in scenarios 3 and 4; all of them behave the same. */
        library: variables.parsed('TOKEN_LIBRARY', 'node-crypto', (name) => libraryNamed(name, ['RS256'])),
      }
    })

const withSlash = (url: string) => new URL(url.endsWith('/') ? url : `${url}/`).href
