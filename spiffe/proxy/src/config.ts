import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { workloadAddress } from '@hallpass/spiffe-agent/client'

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const serverUrl = variables.trustedUrl('SERVER_URL', 'https://localhost:8445')
    variables.require(serverUrl.startsWith('https:'), 'SERVER_URL must be an https URL')
    return {
      ...common,
      port: variables.port('PORT', 8444),
      healthPort: variables.port('HEALTH_PORT', 8448),
      /** The address of the Workload API. */
      endpoint: variables.text('SPIFFE_ENDPOINT_SOCKET', workloadAddress(common.stateFolder, 'proxy')),
      serverUrl,
      /** The expected SPIFFE ID of the server. */
      serverId: variables.text('SERVER_ID', 'spiffe://example.org/server'),
    }
  })

export type Config = ReturnType<typeof loadConfig>
