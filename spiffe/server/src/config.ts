import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { workloadAddress } from '@hallpass/spiffe-agent/client'

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      port: variables.port('PORT', 8445),
      healthPort: variables.port('HEALTH_PORT', 8449),
      /** The address of the Workload API. */
      endpoint: variables.text('SPIFFE_ENDPOINT_SOCKET', workloadAddress(common.stateFolder, 'server')),
      /** Tokens must have one of these audiences. */
      audiences: variables.list('AUDIENCES', ['spiffe://example.org/server']),
      /** The workloads that are accepted with a valid token; `*` accepts all, as in go-spiffe's example. */
      allowedIds: variables.list('ALLOWED_IDS', [
        'spiffe://example.org/client',
        'spiffe://example.org/service-a',
      ]),
    }
  })

export type Config = ReturnType<typeof loadConfig>
