import { type Clock, httpService, type Logger, type Service, systemClock } from '@hallpass/service-kit'
import { adminApi } from './admin/admin-api.ts'
import { Agent } from './agent.ts'
import { bundleEndpoint } from './bundles/bundle-endpoint.ts'
import type { Config } from './config.ts'
import { keys } from './routes/keys.ts'
import { openidConfiguration } from './routes/openid-configuration.ts'

export { loadConfig } from './config.ts'

/**
 * The agent as a process: the Workload API on unix sockets, the verbs on another, OpenID discovery on HTTP.
 * @param options `tickMs`: how often the agent looks at what is due
 */
export function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
  { tickMs }: { readonly tickMs?: number } = {},
): Service {
  let running: { agent: Agent; services: Service[] } | undefined

  const openidService = (agent: Agent) =>
    httpService({
      name: 'spiffe-agent',
      log,
      config,
      listeners: [{ name: 'http', host: config.host, port: config.port }],
      routes: (app) => {
        const { jwt } = agent.authorities
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

  return {
    name: 'spiffe-agent',
    async start() {
      const agent = await Agent.open(config, log, clock, tickMs)
      const services = [
        adminApi(agent, config, log),
        ...bundleEndpoint(agent, config, log),
        openidService(agent),
      ]
      running = { agent, services }
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
      if (!running) return
      const { agent, services } = running
      await Promise.all(services.map((service) => service.stop(drainDelayMs)))
      await agent.stop()
    },
  }
}
