import { Cluster, Redis } from 'ioredis'

export type RedisConnection = Redis | Cluster

/** A call is a fraction of a millisecond; a node that takes this long is as good as gone, and requests wait. */
const COMMAND_TIMEOUT_MS = 1_000
const CONNECT_TIMEOUT_MS = 1_000
/** Soon enough to be back within a second, seldom enough not to be a load. */
const RETRY_MS = 200

export interface RedisConnectionOptions {
  /**
   * `redis://`, `rediss://` (TLS), `redis-sentinel://host:port,host:port/master-name`,
   * `redis-cluster://host:port,host:port`; `rediss-sentinel://` and `rediss-cluster://` for TLS.
   * A user and a password may stand before the first host.
   */
  readonly url: string
  /** PEM of the only authority that is trusted for TLS; the system's authorities when absent. */
  readonly ca?: string
}

/**
 * Opens connections of one kind. Calls never queue while there is no connection: they fail at once, and the
 * caller decides. With `blocking`, calls may wait at the server for longer than usual.
 */
export function connectRedis(options: RedisConnectionOptions, { blocking = 0 } = {}): RedisConnection {
  const { scheme, nodes, path, username, password } = parseRedisUrl(options.url)
  const tls = scheme.startsWith('rediss') ? { tls: options.ca === undefined ? {} : { ca: options.ca } } : {}
  const common = {
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...tls,
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS + blocking,
    retryStrategy: () => RETRY_MS,
  } as const
  if (scheme.endsWith('-cluster'))
    return new Cluster(nodes, {
      redisOptions: common,
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: () => RETRY_MS,
      retryDelayOnFailover: RETRY_MS,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      // A node that has just become master is known within this time.
      slotsRefreshInterval: 1_000,
    })
  if (scheme.endsWith('-sentinel'))
    return new Redis({
      ...common,
      sentinels: nodes,
      name: path,
      sentinelRetryStrategy: () => RETRY_MS,
      ...('tls' in tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls } : {}),
    })
  return new Redis({ ...common, ...nodes[0], db: Number(path || 0) })
}

export function parseRedisUrl(url: string) {
  const match =
    /^(rediss?(?:-sentinel|-cluster)?):\/\/(?:([^:@/]*):([^@/]*)@|([^:@/]+)@)?([^/?#]+)(?:\/([^/?#]*))?$/.exec(
      url,
    )
  if (!match) throw new TypeError('The URL of the store is not of a form that is known here.')
  const [, scheme, username, password, onlyPassword, hosts, path = ''] = match
  const defaultPort = scheme?.endsWith('-sentinel') ? 26_379 : 6379
  return {
    scheme: scheme as string,
    username: decodeURIComponent(username ?? ''),
    password: decodeURIComponent(password ?? onlyPassword ?? ''),
    path: decodeURIComponent(path),
    nodes: (hosts as string).split(',').map((node) => {
      const [, host, port] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(node) ?? []
      if (host === undefined) throw new TypeError(`${node} is not a host and a port.`)
      return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? defaultPort) }
    }),
  }
}
