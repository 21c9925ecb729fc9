import { tlsListener } from '@hallpass/certificates'
import { Upstream } from '@hallpass/reverse-proxy'
import { type HttpService, httpService, type Logger, Metrics } from '@hallpass/service-kit'
import { TierTrust } from '@hallpass/tier-trust'
import { balanceRequests } from './balance.ts'
import type { Config } from './config.ts'
import { Proxies } from './proxies.ts'

export { loadConfig } from './config.ts'

/** Creates the entry point of the token cache, which distributes requests over the proxies. */
export async function createApp(config: Config, log: Logger): Promise<HttpService> {
  const name = 'token-cache-load-balancer'
  const metrics = new Metrics(name)
  const up = metrics.gauge('load_balancer_proxy_up', '1 while requests are sent to a proxy.', ['proxy'])
  const { fields, tls } = await new TierTrust(config.trust).load()
  const upstreams = config.proxyUrls.map(
    (url) => new Upstream({ name: 'token-cache-proxy', url, ...(tls ? { tls } : {}) }),
  )
  const proxies = new Proxies({
    upstreams,
    checkMs: config.checkMs,
    log,
    onChange: (proxy, isUp) => up.set({ proxy }, isUp ? 1 : 0),
  })
  for (const { address } of proxies.states()) up.set({ proxy: address }, 1)
  const { balance, upgrade } = balanceRequests({
    log,
    proxies,
    tierFields: fields,
    believeRemoteUser: config.remoteUserFrom === 'anyone',
  })
  if (config.remoteUserFrom === 'anyone')
    log.warn(
      { host: config.host },
      'OPEN: callers are not authenticated; any caller can set remote-user to any user. Only for development on one machine',
    )
  proxies.start()

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
        ...(config.secure ? tlsListener(config, log) : {}),
      },
    ],
    maxConnections: config.maxConnections,
    requestTimeoutMs: config.requestTimeoutMs,
    forward: balance,
    onUpgrade: upgrade,
    routes: () => {},
    checks: {
      proxies: () => {
        if (!proxies.states().some(({ up }) => up)) throw new Error('no proxy is ready')
      },
    },
    onStop: async () => {
      proxies.stop()
      await Promise.all(upstreams.map((upstream) => upstream.close()))
    },
  })
}
