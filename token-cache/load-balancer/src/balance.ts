import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import {
  forwardRecorded,
  forwardUpgrade,
  recordForwarding,
  requestHeaders,
  type Upstream,
} from '@hallpass/reverse-proxy'
import { type Handler, HttpError, type Logger, toHttpError } from '@hallpass/service-kit'
import { EDGE_FIELDS } from './edge-fields.ts'
import type { Proxies } from './proxies.ts'

export interface BalanceOptions {
  readonly log: Logger
  readonly proxies: Proxies
  /** Header fields that authenticate the balancer to the proxies. */
  readonly tierFields: readonly string[]
  /** Whether callers' `remote-user` fields are trusted. */
  readonly believeRemoteUser: boolean
}

/** Returns handlers that forward each request to a proxy, and retry idempotent requests at the next one if it fails. */
export function balanceRequests({ log, proxies, tierFields, believeRemoteUser }: BalanceOptions) {
  const balance: Handler = (request, response) => {
    const record = recordForwarding(request)
    const upstream = proxies.next()
    if (!upstream) throw noProxy()
    const tried = [upstream]
    forwardRecorded(request, response, record, {
      log,
      upstream,
      headers: fieldsFor(request),
      retry: ({ upstream: failed }) => {
        proxies.failed(failed)
        const next = proxies.next(tried)
        if (next) tried.push(next)
        return next
      },
      onEnd: ({ failure }) => {
        if (failure && hasFailed(failure)) proxies.failed(tried.at(-1) as Upstream)
      },
    })
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const record = recordForwarding(request)
    const tried: Upstream[] = []
    let failure: HttpError = noProxy()
    for (let next = proxies.next(tried); next; next = proxies.next(tried)) {
      const upstream = next
      tried.push(upstream)
      try {
        const forwarded = forwardUpgrade(request, socket, head, record, {
          upstream,
          headers: fieldsFor(request),
        })
        record.add({ ua: tried.map(({ address }) => address).join(', ') })
        return await forwarded
      } catch (error) {
        failure = toHttpError(error)
        // The proxy has not failed if the request is not valid, or if its deadline has passed.
        if (!hasFailed(failure)) break
        proxies.failed(upstream)
      }
    }
    throw failure
  }

  /** Returns the caller's fields without those that only a proxy is allowed to set, plus this balancer's own. */
  function fieldsFor(request: IncomingMessage): string[] {
    const { headers, socket } = request
    const fields = requestHeaders(request, EDGE_FIELDS)
    const user = headers['remote-user']
    if (believeRemoteUser && typeof user === 'string') fields.push('remote-user', user)
    fields.push(
      'x-forwarded-for',
      socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown',
      'x-forwarded-proto',
      (socket as TLSSocket).encrypted ? 'https' : 'http',
    )
    if (headers.host !== undefined) fields.push('x-forwarded-host', headers.host)
    fields.push(...tierFields)
    return fields
  }

  return { balance, upgrade }
}

/** Returns whether an error shows that the upstream failed; a timeout may be due to the caller's deadline. */
const hasFailed = ({ status }: HttpError) => status === 502

const noProxy = () =>
  new HttpError(503, 'no_proxy', 'No proxy is available. Retry.', { headers: { 'retry-after': '1' } })
