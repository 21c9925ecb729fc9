import { tlsFiles } from '@hallpass/certificates'
import { Upstream } from '@hallpass/reverse-proxy'
import { type HttpService, httpService, type Logger, Metrics } from '@hallpass/service-kit'
import { TierTrust } from '@hallpass/tier-trust'
import { balanceRequests } from './balance.ts'
import type { Config } from './config.ts'
import { Proxies } from './proxies.ts'

/** The edge of the tier: takes requests from anywhere and spreads them over the proxies. */
export function createApp(config: Config, log: Logger): HttpService {
  const name = 'token-cache-load-balancer'
  const metrics = new Metrics(name)
  const up = metrics.gauge('load_balancer_proxy_up', 'Whether a proxy is sent requests.', ['proxy'])
  const trust = new TierTrust(config.trust)
  let upstreams: Upstream[] = []
  let proxies: Proxies
  let edge: ReturnType<typeof balanceRequests>

  return httpService({
    name,
    log,
    config,
    metrics,
    listeners: [
      {
        name: config.secure ? 'https' : 'http',
        host: config.host,
        port: config.port,
        ...(config.secure ? { tls: () => tlsFiles(config) } : {}),
      },
    ],
    maxConnections: config.maxConnections,
    requestTimeoutMs: config.requestTimeoutMs,
    forward: (...exchange) => edge.balance(...exchange),
    onUpgrade: (request, socket, head) => edge.upgrade(request, socket, head),
    routes: () => {},
    checks: {
      proxies: () => {
        if (!proxies.states().some(({ up }) => up)) throw new Error('no proxy is ready')
      },
    },
    onStart: async () => {
      const { fields, tls } = await trust.load()
      upstreams = config.proxyUrls.map(
        (url) => new Upstream({ name: 'token-cache-proxy', url, ...(tls ? { tls } : {}) }),
      )
      proxies = new Proxies({
        upstreams,
        checkMs: config.checkMs,
        log,
        onChange: (proxy, isUp) => up.set({ proxy }, isUp ? 1 : 0),
      })
      for (const { address } of proxies.states()) up.set({ proxy: address }, 1)
      edge = balanceRequests({
        log,
        proxies,
        tierFields: fields,
        believeRemoteUser: config.remoteUserFrom === 'anyone',
      })
      if (config.remoteUserFrom === 'anyone')
        log.warn(
          { host: config.host },
          'OPEN: every caller may say in remote-user who it is. For development on one machine',
        )
      proxies.start()
    },
    onStop: async () => {
      proxies?.stop()
      await Promise.all(upstreams.map((upstream) => upstream.close()))
    },
  })
}
