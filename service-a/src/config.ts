import { join } from 'node:path'
import { callersConfig, credentialConfig } from '@hallpass/callers'
import { commonConfig, type Environment, readConfig, tlsConfig } from '@hallpass/service-kit'
import { workloadAddress } from '@hallpass/spiffe-agent/client'
import { libraryNamed } from '@hallpass/tokens'
import { keysFolderOf, MAX_TOKEN_LIFETIME_SECONDS } from './identity.ts'

/**
 * How long a token of service A lives. A call takes a few milliseconds, 50 at worst, and 30 s leave room for a stalled
 * machine and for clocks that differ; a second, as in the system that this one learned from, refuses one good call in
 * a hundred.
 */
const TOKEN_LIFETIME_SECONDS = 30

export type Config = ReturnType<typeof loadConfig>

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      port: variables.port('PORT', 3000),
      jwtFactoryUrl: variables.url('JWT_FACTORY_URL', 'http://localhost:5555'),
      /** The name that the factory's tokens carry, which a proof of who calls it must be made for. */
      jwtFactoryIssuer: variables.text('JWT_FACTORY_ISSUER', 'https://jwt-factory/'),
      serviceBUrl: variables.url('SERVICE_B_URL', 'http://localhost:3001'),
      serviceBTlsUrl: variables.url('SERVICE_B_TLS_URL', 'https://localhost:8443'),
      serviceCUrl: variables.url('SERVICE_C_URL', 'http://localhost:3002'),
      serviceCTlsUrl: variables.url('SERVICE_C_TLS_URL', 'https://localhost:9443'),
      /** Scenario 5: where the Workload API is, the proxy, and who it must prove to be. */
      spiffe: {
        endpoint: variables.text('SPIFFE_ENDPOINT_SOCKET', workloadAddress(common.stateFolder, 'service-a')),
        proxyUrl: variables.url('SPIFFE_PROXY_URL', 'https://localhost:8444'),
        proxyId: variables.text('SPIFFE_PROXY_ID', 'spiffe://example.org/server'),
      },
      tls: tlsConfig(variables, common),
      /** Where callees can see the folder of the key set, the private key belongs into a folder of its own. */
      privateKeyFile: variables.text(
        'PRIVATE_KEY_FILE',
        join(keysFolderOf(common.stateFolder), 'jwt-private.pem'),
      ),
      /** What signs in scenarios 3 and 4; all of them do the same. */
      library: variables.parsed('TOKEN_LIBRARY', 'node-crypto', (name) => libraryNamed(name, ['RS256'])),
      tokenLifetimeSeconds: variables.seconds('TOKEN_LIFETIME_SECONDS', TOKEN_LIFETIME_SECONDS, {
        min: 5,
        max: MAX_TOKEN_LIFETIME_SECONDS,
      }),
      peerTimeoutMs: variables.milliseconds('PEER_TIMEOUT_MS', 5_000, { min: 10, max: 60_000 }),
      /** Who may rotate the key of this service. */
      callers: callersConfig(variables, common, { whenUnnamed: 'closed' }),
      /** How this service proves to the factory who it is. */
      credential: credentialConfig(variables),
    }
  })
