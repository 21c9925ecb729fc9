import { type Clock, httpService, type Logger, type Service, systemClock } from '@hallpass/service-kit'
import { adminApi } from './admin/index.ts'
import { Agent } from './agent.ts'
import type { Config } from './config.ts'
import { bundleEndpoint } from './routes/bundle-endpoint.ts'
import { keys } from './routes/keys.ts'
import { openidConfiguration } from './routes/openid-configuration.ts'

export { loadConfig } from './config.ts'

/**
 * Creates the agent service: the Workload API on unix sockets, the admin API on another, OpenID discovery on HTTP.
 * @param options `tickMs`: how often the agent checks what is due
 */
export async function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
  { tickMs }: { readonly tickMs?: number } = {},
): Promise<Service> {
  const agent = await Agent.open(config, log, clock, tickMs)
  const { jwt } = agent.authorities
  const openid = httpService({
    name: 'spiffe-agent',
    log,
    config,
    listeners: [{ name: 'http', host: config.host, port: config.port }],
    routes: (app) => {
      app.get(
        '/.well-known/openid-configuration',
        openidConfiguration(config.jwtIssuer, () => jwt.published.map(({ key }) => key.alg)),
      )
      app.get(
        '/keys',
        keys(() => jwt.published, config.jwkUse),
      )
    },
  })
  const services: Service[] = [
    await adminApi(agent, config, log),
    ...bundleEndpoint(agent, config, log),
    openid,
  ]

  const agentService: Service = {
    name: 'spiffe-agent',
    async start() {
      try {
        await agent.start()
        const urls = await Promise.all(services.map((service) => service.start()))
        return Object.assign({}, ...urls)
      } catch (error) {
        await this.stop()
        throw error
      }
    },
    async stop(drainDelayMs) {
      await Promise.all(services.map((service) => service.stop(drainDelayMs)))
      await agent.stop()
    },
  }
  return agentService
}
