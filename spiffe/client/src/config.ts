import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { workloadAddress } from '@hallpass/spiffe-agent/client'

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      /** Where the Workload API is. */
      endpoint: variables.text('SPIFFE_ENDPOINT_SOCKET', workloadAddress(common.stateFolder, 'client')),
      proxyUrl: variables.url('PROXY_URL', 'https://localhost:8444'),
      /** Who the proxy must prove to be; also the audience when none is given. */
      serverId: variables.text('SERVER_ID', 'spiffe://example.org/server'),
      /** For everything before the answer: a workload without an entry waits so long for one. */
      timeoutMs: variables.milliseconds('TIMEOUT_MS', 30_000, { min: 100 }),
    }
  })

export type Config = ReturnType<typeof loadConfig>
