import { serviceAGuardsConfig } from '@hallpass/service-a/client'
import { commonConfig, type Environment, readConfig, tlsConfig } from '@hallpass/service-kit'

export type Config = ReturnType<typeof loadConfig>

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    return {
      ...common,
      ...serviceAGuardsConfig(variables),
      port: variables.port('PORT', 3001),
      httpsPort: variables.port('HTTPS_PORT', 8443),
      tls: tlsConfig(variables, common),
    }
  })
