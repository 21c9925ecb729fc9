import http, { type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HttpError, notFound } from '../errors.ts'
import type { Probes } from '../observation/index.ts'
import { type CommonConfig, urlHost } from '../process/index.ts'
import { send, sendJson } from './answers.ts'
import type { Drain } from './drain.ts'
import { foreignPagesGuard, type HostsConfig } from './foreign-pages.ts'
import { settleTarget } from './request-target.ts'

/** Where metrics are served, if not beside the routes. */
export type MetricsConfig = HostsConfig & Partial<Pick<CommonConfig, 'host' | 'metricsPort'>>

/** Prometheus keeps one connection; a second server, and a person who looks, need a few more. */
const MAX_CONNECTIONS = 50
/** A scrape is a few hundred bytes on one network; the limits of the other listeners are for phones. */
const REQUEST_TIMEOUT_MS = 10_000

/**
 * Serves `/metrics` on the port of `METRICS_PORT` over plain HTTP, so that the network can admit only Prometheus to it; without
 * the variable, does nothing. The listener stops with the others. Returns its URL, by the name `metrics`.
 */
export async function listenForMetrics(
  config: MetricsConfig,
  probes: Probes,
  draining: Pick<Drain<never>, 'add'>,
): Promise<Readonly<Record<string, string>>> {
  const { metricsPort, host = '127.0.0.1' } = config
  if (metricsPort === undefined) return {}
  const isForeign = foreignPagesGuard(host, config)
  const server = http.createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, requireHostHeader: false },
    async (request, response) => {
      const { method, headers } = request
      const refusal =
        settleTarget(request) ??
        isForeign({ method, host: headers.host, headers }) ??
        refusalOf(request.url, method)
      if (refusal) return refuse(response, refusal)
      const { status, type, text } = await probes.metrics()
      send(response, status, type, text)
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  draining.add({
    server,
    closeIdle: () => server.closeIdleConnections(),
    cut: () => server.closeAllConnections(),
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(metricsPort, host, resolve)
  })
  return { metrics: `http://${urlHost(host)}:${(server.address() as AddressInfo).port}` }
}

function refusalOf(target = '/', method = 'GET'): HttpError | undefined {
  if (target.split('?', 1)[0] !== '/metrics')
    return notFound('no_such_endpoint', 'This port has only /metrics.')
  if (method === 'GET' || method === 'HEAD') return undefined
  const message = 'This path does not support this method. See the Allow header.'
  return new HttpError(405, 'method_not_allowed', message, { headers: { allow: 'GET, HEAD' } })
}

function refuse(response: ServerResponse, { status, headers, body }: HttpError): void {
  // A body that came with the request is not read.
  response.setHeader('connection', 'close')
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  sendJson(response, status, body)
}
