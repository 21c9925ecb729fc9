import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { workloadAddress } from '@hallpass/spiffe-agent/client'

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      /** The address of the Workload API. */
      endpoint: variables.text('SPIFFE_ENDPOINT_SOCKET', workloadAddress(common.stateFolder, 'client')),
      proxyUrl: variables.trustedUrl('PROXY_URL', 'https://localhost:8444'),
      /** The expected SPIFFE ID of the proxy; also the default audience. */
      serverId: variables.text('SERVER_ID', 'spiffe://example.org/server'),
      /** For each step, also for waiting until the agent issues an identity. */
      timeoutMs: variables.milliseconds('TIMEOUT_MS', 30_000, { min: 100 }),
    }
  })

export type Config = ReturnType<typeof loadConfig>
