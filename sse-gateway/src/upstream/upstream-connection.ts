import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { EventStreamParser, type StreamEvent, toHeaderValue } from '@hallpass/event-stream'
import { beginCall, type HttpError } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import { unavailable } from '../http/index.ts'

/** Where the events of a path come from. */
export interface UpstreamTarget {
  readonly url: string
  /** The only authorities that an https upstream is trusted by, as PEM; the system's when absent. */
  readonly ca?: string | undefined
  /** From the connect to the headers of the answer. */
  readonly timeoutMs: number
  readonly maxEventBytes: number
}

export interface UpstreamHandlers {
  readonly onEvent: (event: StreamEvent) => void
  /** The stream is over: `ended` as its sender meant it to, or `failed`. Not called after `close`. */
  readonly onOver: (how: 'ended' | 'failed', error?: Error) => void
}

/** A dead peer is noticed after about half a minute, also when it never sends a heartbeat. */
const TCP_KEEP_ALIVE_MS = 10_000
/** A peer that asks for more is told apart from one that is broken; a client should not wait for hours either. */
const MAX_RETRY_AFTER_SECONDS = 60

/**
 * One event stream from the upstream, read with a parser that keeps to the format: comments, retry times and unknown
 * fields are taken out of the way, only whole events are reported.
 */
export class UpstreamConnection {
  readonly #request: ClientRequest
  readonly #response: IncomingMessage
  #closed = false

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request
    this.#response = response
  }

  /**
   * Resolves when the upstream has answered with an event stream. Events may be reported from the next turn on.
   * @throws {HttpError} 502 when it is not there or answers something else, 503 when it says that it is busy,
   * 504 when it is too slow.
   */
  static async open(
    target: UpstreamTarget,
    lastEventId: string | undefined,
    handlers: UpstreamHandlers,
  ): Promise<UpstreamConnection> {
    const { request, response } = await ask(target, lastEventId)
    const connection = new UpstreamConnection(request, response)
    connection.#read(target, lastEventId, handlers)
    return connection
  }

  /** Stops reading, so that the upstream's socket fills up instead of this process. */
  pause(): void {
    this.#response.pause()
  }

  resume(): void {
    this.#response.resume()
  }

  close(): void {
    this.#closed = true
    this.#request.destroy()
  }

  #read(
    { maxEventBytes }: UpstreamTarget,
    lastEventId: string | undefined,
    { onEvent, onOver }: UpstreamHandlers,
  ) {
    const parser = new EventStreamParser({ onEvent, maxEventBytes, lastEventId })
    const over = (how: 'ended' | 'failed', error?: Error) => {
      if (this.#closed) return
      this.close()
      onOver(how, error)
    }
    this.#response.on('data', (chunk: Buffer) => {
      try {
        parser.push(chunk)
      } catch (error) {
        over('failed', error as Error)
      }
    })
    this.#response.once('end', () => over('ended'))
    this.#response.once('error', (error) => over('failed', error))
    this.#response.once('close', () => over('failed', new Error('The connection was cut.')))
    this.#request.on('error', (error) => over('failed', error))
  }
}

function ask(
  { url, ca, timeoutMs }: UpstreamTarget,
  lastEventId: string | undefined,
): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  const { traceparent, tell } = beginCall({ peer: 'sse-server', method: 'GET', path: new URL(url).pathname })
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? https : http).request(url, {
      // A stream is a connection of its own: no pool of ten, in which the eleventh would wait for ever.
      agent: false,
      ...(ca === undefined ? {} : { ca }),
      headers: {
        accept: 'text/event-stream',
        'cache-control': 'no-cache',
        traceparent,
        ...(lastEventId === undefined ? {} : { 'last-event-id': toHeaderValue(lastEventId) }),
      },
    })
    const refuse = (error: HttpError) => {
      clearTimeout(timer)
      request.on('error', () => {})
      request.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () =>
        refuse(unavailable(504, 'upstream_timeout', `The upstream did not answer within ${timeoutMs} ms.`)),
      cappedMs(timeoutMs),
    )
    request.once('error', (cause) =>
      refuse(unavailable(502, 'upstream_unreachable', 'The upstream is not reachable.', cause)),
    )
    request.once('socket', (socket) => socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS).setNoDelay(true))
    request.once('response', (response) => {
      tell({ status: response.statusCode ?? 0 })
      const refusal = refusalOf(response)
      if (refusal) return refuse(refusal)
      clearTimeout(timer)
      request.removeAllListeners('error')
      resolve({ request, response })
    })
    request.end()
  })
}

function refusalOf({ statusCode = 0, headers }: IncomingMessage): HttpError | undefined {
  if (statusCode === 429 || statusCode === 503) {
    const after = Number(headers['retry-after'])
    const seconds = after > 0 ? Math.min(Math.ceil(after), MAX_RETRY_AFTER_SECONDS) : undefined
    return unavailable(503, 'upstream_busy', `The upstream answered ${statusCode}.`, undefined, seconds)
  }
  if (statusCode !== 200)
    return unavailable(502, 'upstream_refused', `The upstream answered ${statusCode}, not an event stream.`)
  const type = headers['content-type'] ?? ''
  if (!/^text\/event-stream\s*(;|$)/i.test(type))
    return unavailable(
      502,
      'upstream_not_a_stream',
      'The upstream answered something else than an event stream.',
    )
  return undefined
}
