import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  readonly url: string
  readonly method?: 'GET' | 'POST'
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Requests in flight, each on its own kept-alive connection. */
  readonly connections: number
  /** Ends the run after this time, in milliseconds, … */
  readonly milliseconds?: number
  /** … or after this many responses, whichever comes first. */
  readonly requests?: number
  /** A string that the body of a correct response contains; any other response counts as a failure. */
  readonly expect?: string
}

export interface LoadResult {
  readonly answers: number
  readonly failures: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/**
 * Sends the same request repeatedly and reads the responses. Uses plain sockets, to leave most of the two cores to the
 * measured services.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { connections, milliseconds = 60_000, requests = Number.POSITIVE_INFINITY, expect } = options
  const url = new URL(options.url)
  const request = requestBytes(url, options)
  const latencies: number[] = []
  let sent = 0
  let failures = 0
  const started = performance.now()
  const over = () => performance.now() - started >= milliseconds || sent >= requests

  const one = (socket: Socket) =>
    new Promise<void>((resolve) => {
      let sentAt = 0
      let received = ''
      const next = () => {
        if (over()) {
          socket.destroy()
          return resolve()
        }
        sent += 1
        sentAt = performance.now()
        socket.write(request)
      }
      socket.setEncoding('latin1')
      socket.on('data', (chunk) => {
        received += chunk
        const length = answerLength(received)
        if (length === undefined || received.length < length) return
        latencies.push(performance.now() - sentAt)
        if (!received.startsWith('HTTP/1.1 200') || (expect && !received.includes(expect))) failures += 1
        received = ''
        next()
      })
      socket.on('error', () => {
        failures += 1
        resolve()
      })
      // If the server closes the connection, this connection's part of the run ends.
      socket.on('close', resolve)
      socket.on('connect', next)
    })

  await Promise.all(
    Array.from({ length: connections }, () =>
      one(connect(Number(url.port), url.hostname.replace('localhost', '127.0.0.1'))),
    ),
  )
  return summary(latencies, failures, performance.now() - started)
}

/** Returns percentiles of the latencies, which it sorts in place. */
export function summary(latencies: number[], failures: number, milliseconds: number): LoadResult {
  latencies.sort((a, b) => a - b)
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  return {
    answers: latencies.length,
    failures,
    perSecond: (latencies.length * 1000) / milliseconds,
    p50: at(0.5),
    p99: at(0.99),
  }
}

function requestBytes(url: URL, { method = 'GET', body, headers: given = {} }: LoadOptions): string {
  const headers = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`]
  for (const [name, value] of Object.entries(given)) headers.push(`${name}: ${value}`)
  if (body !== undefined)
    headers.push('content-type: application/json', `content-length: ${Buffer.byteLength(body)}`)
  return `${headers.join('\r\n')}\r\n\r\n${body ?? ''}`
}

/** Returns the length of the whole response, or undefined until its head is complete. */
export function answerLength(received: string): number | undefined {
  const head = received.indexOf('\r\n\r\n')
  if (head === -1) return undefined
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, head))
  if (length) return head + 4 + Number(length[1])
  const end = received.indexOf('0\r\n\r\n', head + 4)
  return end === -1 ? undefined : end + 5
}
