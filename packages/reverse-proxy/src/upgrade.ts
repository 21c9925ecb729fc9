import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import {
  AnswerTimeout,
  beginCall,
  callBudget,
  DEADLINE_HEADER,
  deadlinePassed,
  type PeerError,
  type RequestRecord,
} from '@hallpass/service-kit'
import type { Upstream } from './upstream.ts'

/** Only the handshake has a timeout; the upgraded protocol has its own pings. */
const HANDSHAKE_TIMEOUT_MS = 10_000

export interface UpgradeOptions {
  readonly upstream: Upstream
  readonly headers: readonly string[]
}

/**
 * Forwards an upgrade (a WebSocket handshake, RFC 6455 §4). After a 101 both sides are joined byte by byte; any other
 * response is returned to the client. As in `forwardRecorded`, the upstream gets the ID, the trace and the rest of the
 * deadline, the response has the ID once, and the log line has `ua`, `us` and `ut`. Rejects if the upstream did not
 * respond.
 */
export function forwardUpgrade(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  record: RequestRecord,
  { upstream, headers }: UpgradeOptions,
): Promise<void> {
  const { requestId, trace } = record
  const started = performance.now()
  const { traceparent, tell } = beginCall(
    {
      peer: upstream.address,
      method: request.method as string,
      path: request.url?.split('?', 1)[0] as string,
    },
    trace,
  )
  record.add({ ua: upstream.address })

  const release = watchLeaving(client)

  function answered(answer: IncomingMessage) {
    release()
    const status = answer.statusCode as number
    record.add({ us: status, ut: Math.round((performance.now() - started) * 10) / 10 })
    record.upgradeStatus = status
    tell({ status })
    // The connection may last for hours, and the trace is watched now.
    record.tellHop(status)
    client.write(headOf(answer, requestId))
  }

  return new Promise<void>((resolve, reject) => {
    function fail(error: PeerError) {
      release()
      tell({ reason: error.code })
      reject(error)
    }
    const { secureContext, servername } = upstream
    const budgetMs = callBudget(trace.deadline, HANDSHAKE_TIMEOUT_MS)
    if (budgetMs === 0) return fail(deadlinePassed(upstream.name))
    const call = (upstream.url.protocol === 'https:' ? https : http).request({
      host: upstream.url.hostname.replace(/^\[|\]$/g, ''),
      port: upstream.url.port,
      method: request.method,
      path: request.url,
      headers: [
        ...headers,
        'host',
        upstream.url.host,
        'connection',
        'upgrade',
        'upgrade',
        request.headers.upgrade as string,
        DEADLINE_HEADER,
        `${budgetMs}`,
        'x-request-id',
        requestId,
        'traceparent',
        traceparent,
      ],
      agent: false,
      timeout: budgetMs,
      ...(secureContext ? { secureContext } : {}),
      ...(servername ? { servername } : {}),
    })
    call.on('timeout', () => call.destroy(new AnswerTimeout()))
    // If the client disconnected, its upstream has not failed.
    call.on('error', (cause) => (client.destroyed ? resolve() : fail(upstream.failure(cause, budgetMs))))
    client.on('error', () => call.destroy())
    client.on('close', () => call.destroy())

    call.on('upgrade', (answer, server, early) => {
      server.setTimeout(0)
      answered(answer)
      if (early.length > 0) client.write(early)
      if (head.length > 0) server.write(head)
      join(client, server)
      resolve()
    })
    call.on('response', (answer) => {
      answered(answer)
      // What the client still sends is discarded; while it is unread, the connection cannot close.
      client.resume()
      answer.pipe(client)
      resolve()
    })
    call.end()
  })
}

/**
 * Destroys a client that disconnects before it has an answer. Node reads a connection only on demand, so without this
 * the end would go unnoticed; bytes that the client sends early stay in its buffer.
 * @returns what ends the watch
 */
function watchLeaving(client: Duplex): () => void {
  const look = () => void client.read(0)
  const leave = () => void client.destroy()
  client.on('readable', look).on('end', leave)
  return () => client.off('readable', look).off('end', leave)
}

/** Joins two sockets; if one side fails, the other is closed too. */
function join(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
    from.pipe(to)
  }
}

function headOf(answer: IncomingMessage, requestId: string): string {
  let head = `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n`
  const refused = answer.statusCode !== 101
  for (let index = 0; index < answer.rawHeaders.length; index += 2) {
    const name = answer.rawHeaders[index] as string
    // The body of a rejection is sent until the connection closes.
    if (refused && /^(connection|keep-alive|transfer-encoding)$/i.test(name)) continue
    if (/^x-request-id$/i.test(name)) continue
    head += `${name}: ${answer.rawHeaders[index + 1]}\r\n`
  }
  return `${head}x-request-id: ${requestId}\r\n${refused ? 'Connection: close\r\n' : ''}\r\n`
}
