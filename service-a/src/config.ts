import { join } from 'node:path'
import { callersConfig, credentialConfig } from '@hallpass/callers'
import { commonConfig, type Environment, httpsConfig, readConfig } from '@hallpass/service-kit'
import { workloadAddress } from '@hallpass/spiffe-agent/client'
import { libraryNamed } from '@hallpass/tokens'
import { keysFolderOf, MAX_TOKEN_LIFETIME_SECONDS } from './identity.ts'

/**
 * How long a token of service A is valid. A call takes a few milliseconds, at most 50; 30 s leave room for a stalled
 * machine and for clock skew. One second, as in the original system, would reject one valid call in a hundred.
 */
const TOKEN_LIFETIME_SECONDS = 30

export type Config = ReturnType<typeof loadConfig>

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      port: variables.port('PORT', 3000),
      jwtFactoryUrl: variables.trustedUrl('JWT_FACTORY_URL', 'http://localhost:5555'),
      /** The issuer of the factory's tokens, which is also the audience of the client assertions for the factory. */
      jwtFactoryIssuer: variables.trustedIssuer('JWT_FACTORY_ISSUER', 'https://jwt-factory/'),
      serviceBUrl: variables.trustedUrl('SERVICE_B_URL', 'http://localhost:3001'),
      serviceBTlsUrl: variables.trustedUrl('SERVICE_B_TLS_URL', 'https://localhost:8443'),
      serviceCUrl: variables.trustedUrl('SERVICE_C_URL', 'http://localhost:3002'),
      serviceCTlsUrl: variables.trustedUrl('SERVICE_C_TLS_URL', 'https://localhost:9443'),
      /** Scenario 5: the endpoint of the Workload API, the proxy, and the SPIFFE ID that the proxy must have. */
      spiffe: {
        endpoint: variables.text('SPIFFE_ENDPOINT_SOCKET', workloadAddress(common.stateFolder, 'service-a')),
        proxyUrl: variables.trustedUrl('SPIFFE_PROXY_URL', 'https://localhost:8444'),
        proxyId: variables.text('SPIFFE_PROXY_ID', 'spiffe://example.org/server'),
      },
      /** Operators that rotate the key send their credentials to the HTTPS port, in production. */
      ...httpsConfig(variables, common),
      /** If callees can read the folder of the JWKS, the private key must be in another folder. */
      privateKeyFile: variables.text(
        'PRIVATE_KEY_FILE',
        join(keysFolderOf(common.stateFolder), 'jwt-private.pem'),
      ),
      /** The library that signs in scenarios 3 and 4; all of them behave the same. */
      library: variables.parsed('TOKEN_LIBRARY', 'node-crypto', (name) => libraryNamed(name, ['RS256'])),
      tokenLifetimeSeconds: variables.seconds('TOKEN_LIFETIME_SECONDS', TOKEN_LIFETIME_SECONDS, {
        min: 5,
        max: MAX_TOKEN_LIFETIME_SECONDS,
      }),
      peerTimeoutMs: variables.milliseconds('PEER_TIMEOUT_MS', 5_000, { min: 10, max: 60_000 }),
      /** Who is allowed to rotate the key of this service. */
      callers: callersConfig(variables, common, { whenUnnamed: 'closed' }),
      /** How this service authenticates to the factory. */
      credential: credentialConfig(variables),
    }
  })
