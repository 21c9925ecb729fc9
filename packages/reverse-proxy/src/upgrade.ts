import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import {
  AnswerTimeout,
  callBudget,
  DEADLINE_HEADER,
  deadlineFrom,
  deadlinePassed,
} from '@hallpass/service-kit'
import type { Upstream } from './upstream.ts'

/** Only the handshake has a timeout; the upgraded protocol has its own pings. */
const HANDSHAKE_TIMEOUT_MS = 10_000

export interface UpgradeOptions {
  readonly upstream: Upstream
  readonly headers: readonly string[]
  /** Called after the handshake; with 101 the two sides are now connected. */
  readonly onAnswer?: (status: number) => void
}

/**
 * Forwards an upgrade (a WebSocket handshake, RFC 6455 §4). After a 101 both sides are joined byte by byte; any other
 * response is returned to the client. Rejects if the upstream did not respond.
 */
export function forwardUpgrade(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  { upstream, headers, onAnswer }: UpgradeOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { secureContext, servername } = upstream
    const budgetMs = callBudget(deadlineFrom(request.headers[DEADLINE_HEADER]), HANDSHAKE_TIMEOUT_MS)
    if (budgetMs === 0) throw deadlinePassed(upstream.name)
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
      ],
      agent: false,
      timeout: budgetMs,
      ...(secureContext ? { secureContext } : {}),
      ...(servername ? { servername } : {}),
    })
    call.on('timeout', () => call.destroy(new AnswerTimeout()))
    call.on('error', (cause) => reject(upstream.failure(cause, budgetMs)))
    client.on('error', () => call.destroy())
    client.on('close', () => call.destroy())

    call.on('upgrade', (answer, server, early) => {
      onAnswer?.(101)
      server.setTimeout(0)
      client.write(headOf(answer))
      if (early.length > 0) client.write(early)
      if (head.length > 0) server.write(head)
      join(client, server)
      resolve()
    })
    call.on('response', (answer) => {
      onAnswer?.(answer.statusCode as number)
      client.write(headOf(answer))
      answer.pipe(client)
      resolve()
    })
    call.end()
  })
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

function headOf(answer: IncomingMessage): string {
  let head = `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n`
  const refused = answer.statusCode !== 101
  for (let index = 0; index < answer.rawHeaders.length; index += 2) {
    const name = answer.rawHeaders[index] as string
    // The body of a rejection is sent until the connection closes.
    if (refused && /^(connection|keep-alive|transfer-encoding)$/i.test(name)) continue
    head += `${name}: ${answer.rawHeaders[index + 1]}\r\n`
  }
  return `${head}${refused ? 'Connection: close\r\n' : ''}\r\n`
}
