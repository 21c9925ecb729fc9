/**
 * Reads a `REDIS_URL`, see the README.
 * @throws {TypeError} without the URL, which may contain a password.
 */
export function parseRedisUrl(url: string) {
  const match =
    /^(rediss?(?:-sentinel|-cluster)?):\/\/(?:([^:@/]*):([^@/]*)@|([^:@/]+)@)?([^/?#]+)(?:\/([^/?#]*))?$/.exec(
      url,
    )
  if (!match)
    throw new TypeError(
      'REDIS_URL must be redis://, redis-sentinel:// or redis-cluster:// (or rediss…:// for TLS).',
    )
  const [, scheme, username, password, onlyPassword, hosts, path = ''] = match
  const defaultPort = scheme?.endsWith('-sentinel') ? 26_379 : 6379
  return {
    scheme: scheme as string,
    username: decodeURIComponent(username ?? ''),
    password: decodeURIComponent(password ?? onlyPassword ?? ''),
    path: decodeURIComponent(path),
    nodes: (hosts as string).split(',').map((node) => {
      const [, host, port] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(node) ?? []
      if (host === undefined) throw new TypeError(`${node} must be a host and a port.`)
      return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? defaultPort) }
    }),
  }
}
