import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { workloadAddress } from '@hallpass/spiffe-agent/client'

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      port: variables.port('PORT', 8445),
      healthPort: variables.port('HEALTH_PORT', 8449),
      /** Where the Workload API is. */
      endpoint: variables.text('SPIFFE_ENDPOINT_SOCKET', workloadAddress(common.stateFolder, 'server')),
      /** Tokens must be for one of these. */
      audiences: variables.list('AUDIENCES', ['spiffe://example.org/server']),
      /** Who may come in, of those whose token is good; `*` for everyone, as in the original. */
      allowedIds: variables.list('ALLOWED_IDS', [
        'spiffe://example.org/client',
        'spiffe://example.org/service-a',
      ]),
    }
  })

export type Config = ReturnType<typeof loadConfig>
