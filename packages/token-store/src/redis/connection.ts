import { Cluster, Redis } from 'ioredis'
import { parseRedisUrl } from './redis-url.ts'

export type RedisConnection = Redis | Cluster

/** A call takes a fraction of a millisecond; a node that takes this long counts as failed, because requests wait. */
const COMMAND_TIMEOUT_MS = 1_000
const CONNECT_TIMEOUT_MS = 1_000
/** Short enough to reconnect within a second, long enough not to cause load. */
const RETRY_MS = 200
/** As short as the timeouts: a failover takes about this long anyway. */
const SLOTS_REFRESH_MS = 1_000

export interface RedisConnectionOptions {
  /**
   * `redis://`, `rediss://` (TLS), `redis-sentinel://host:port,host:port/master-name`,
   * `redis-cluster://host:port,host:port`; `rediss-sentinel://` and `rediss-cluster://` for TLS.
   * A user and a password may precede the first host.
   */
  readonly url: string
  /** PEM of the only CA that is trusted for TLS. Default: the system's CAs. */
  readonly ca?: string
}

/**
 * Opens a connection. Without a connection, calls fail immediately instead of queueing, and the caller decides what to do.
 * With `blocking`, calls may wait at the server longer than usual.
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
  if (scheme.endsWith('-cluster')) {
    const cluster = new Cluster(nodes, {
      redisOptions: common,
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: () => RETRY_MS,
      retryDelayOnFailover: RETRY_MS,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      // ioredis sets its timer again when a refresh has ended, even if the cluster was closed meanwhile: it never stops.
      slotsRefreshInterval: 0,
    })
    return refreshSlots(cluster)
  }
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

/** Asks for the slots regularly until the cluster is closed, so that a new master is known within {@link SLOTS_REFRESH_MS}. */
function refreshSlots(cluster: Cluster): Cluster {
  const timer = setInterval(() => {
    if (cluster.status === 'ready') cluster.refreshSlotsCache()
  }, SLOTS_REFRESH_MS).unref()
  return cluster.once('end', () => clearInterval(timer))
}
