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
import { type Handler, HttpError, type Logger, refuseUpgrade, toHttpError } from '@hallpass/service-kit'
import { EDGE_FIELDS } from './edge-fields.ts'
import type { Proxies } from './proxies.ts'

export interface BalanceOptions {
  readonly log: Logger
  readonly proxies: Proxies
  /** Prove to the proxies that a request comes from here. */
  readonly tierFields: readonly string[]
  /** Whether callers may say who they are. */
  readonly believeRemoteUser: boolean
}

/** Sends each request to a proxy; when that one fails, to the next, if the request may be sent twice. */
export function balanceRequests({ log, proxies, tierFields, believeRemoteUser }: BalanceOptions) {
  const balance: Handler = (request, response) => {
    const record = recordForwarding(request)
    const upstream = proxies.next()
    if (!upstream) throw nobodyThere()
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
        if (failure?.status === 502) proxies.failed(tried.at(-1) as Upstream)
      },
    })
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy())
    const tried: Upstream[] = []
    let failure: HttpError = nobodyThere()
    for (let next = proxies.next(tried); next; next = proxies.next(tried)) {
      const upstream = next
      tried.push(upstream)
      try {
        await forwardUpgrade(request, socket, head, {
          upstream,
          headers: fieldsFor(request),
          onAnswer: (us) =>
            log.info({ path: request.url?.split('?', 1)[0], ua: upstream.address, us }, 'upgrade'),
        })
        return
      } catch (error) {
        proxies.failed(upstream)
        failure = toHttpError(error)
      }
    }
    refuseUpgrade(socket, failure)
  }

  /** The caller's fields without what only a proxy may say, and what this proxy has to say instead. */
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

  return { balance, upgrade: (...args: Parameters<typeof upgrade>) => void upgrade(...args) }
}

const nobodyThere = () =>
  new HttpError(503, 'no_proxy', 'No proxy can take the request.', { headers: { 'retry-after': '1' } })
