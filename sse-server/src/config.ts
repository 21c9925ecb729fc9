import { commonConfig, type Environment, isLoopback, readConfig } from '@hallpass/service-kit'

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const config = {
      ...common,
      tcpPort: variables.port('TCP_PORT', 7001),
      httpPort: variables.port('HTTP_PORT', 8001),
      /** `stdin` reads the objects from standard input and opens no TCP port, as the original does behind a pipe. */
      input: variables.oneOf('INPUT', ['tcp', 'stdin'], 'tcp'),
      /** The original's events named `clear` and `view` mean something. */
      controlNames: variables.flag('CONTROL_NAMES', false),
      /** 15 s, as the HTML standard advises (§9.2.7): proxies cut what is quiet for 30 s or more. */
      heartbeatMs: variables.integer('HEARTBEAT_MS', 15_000, { min: 10 }),
      retryMs: variables.integer('RETRY_MS', 2_000),
      /** One event of the greatest size may wait, and what comes while it is sent. */
      maxUnsentBytes: variables.integer('MAX_UNSENT_BYTES', 1024 * 1024, { min: 1 }),
      publishers: variables.oneOf('PUBLISHERS', ['open', 'token'], common.production ? 'token' : 'open'),
    }
    variables.require(
      config.publishers === 'token' || isLoopback(config.host),
      `PUBLISHERS=open lets anybody publish, so HOST must be a loopback address, but is "${config.host}"`,
    )
    return config
  })

export type Config = ReturnType<typeof loadConfig>
