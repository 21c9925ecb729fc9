import http, { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { EventStreamParser, type SkippedEvent, type StreamEvent, toHeaderValue } from '@hallpass/event-stream'
import { beginCall, HttpError } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import { unavailable } from '../http/index.ts'
import { inPlaceOf } from './client-event.ts'
import { NoTokenError, type UpstreamAccess, type UpstreamCredentials } from './credentials/index.ts'
import { checkStuck } from './stuck-check.ts'

/** The source of a path's events. */
export interface UpstreamTarget {
  readonly url: string
  readonly credentials: Pick<UpstreamCredentials, 'access' | 'accessAfter'>
  /** The limit from connecting to the response headers. */
  readonly timeoutMs: number
  /** A larger event is replaced by a `gap`: after a reconnect, the upstream would only send it again. */
  readonly maxEventBytes: number
  /** How long an event or a comment can take from its beginning to its end. Then the stream is over. */
  readonly stuckMs: number
  readonly onSkipped: (skipped: SkippedEvent) => void
  /** Returns why the headers of an accepted stream do not suffice; by default they do. */
  readonly problemOf?: ((headers: IncomingHttpHeaders) => HttpError | undefined) | undefined
}

/** How a stream is over: by its end, by an error, or because it began something that it does not end. */
export type Over = 'ended' | 'failed' | 'stuck'

export interface UpstreamHandlers {
  readonly onEvent: (event: StreamEvent) => void
  /** Called when the stream is over. Not called after `close`. */
  readonly onOver: (how: Over, error?: Error) => void
}

/** Detects a host that has vanished within about 30 seconds. A process that hangs still acknowledges the probes. */
const TCP_KEEP_ALIVE_MS = 10_000
/** Caps the upstream's `Retry-After`: a client should not wait for hours. */
const MAX_RETRY_AFTER_SECONDS = 60

/**
 * One event stream from the upstream. It reports only whole events; comments, retry times without an event and unknown
 * fields are dropped.
 */
export class UpstreamConnection {
  /** What the upstream has accepted. */
  readonly access: UpstreamAccess
  readonly #request: ClientRequest
  readonly #response: IncomingMessage
  #closed = false
  #stopCheck: (() => void) | undefined
  #parser: EventStreamParser | undefined

  private constructor({ access, request, response }: Accepted) {
    this.access = access
    this.#request = request
    this.#response = response
  }

  /**
   * Connects, and resolves when the upstream has responded with an event stream. Events can be reported from the next turn.
   * After a 401, it tries one other token, if there is one that could be accepted.
   * @throws {HttpError} 502 if it is unreachable, rejects this gateway, or its response is not an event stream, 503 if it is
   * busy, 504 if it times out.
   */
  static async open(
    target: UpstreamTarget,
    lastEventId: string | undefined,
    handlers: UpstreamHandlers,
  ): Promise<UpstreamConnection> {
    const connection = new UpstreamConnection(await askWithAccess(target, lastEventId))
    connection.#read(target, lastEventId, handlers)
    return connection
  }

  /** Stops reading, so that events wait in the upstream's socket instead of in this process. */
  pause(): void {
    this.#response.pause()
  }

  resume(): void {
    this.#response.resume()
  }

  /** The response header `Last-Event-ID`: after which event the upstream continues, if it tells. */
  get follows(): string | undefined {
    return this.#response.headers['last-event-id'] as string | undefined
  }

  /** Whether it is within an event or a line, so that nothing else can arrive before its end. */
  get isInside(): boolean {
    return this.#parser?.isInside ?? false
  }

  get isPaused(): boolean {
    return this.#response.isPaused()
  }

  close(): void {
    this.#closed = true
    this.#stopCheck?.()
    this.#request.destroy()
  }

  #read(
    { maxEventBytes, onSkipped, stuckMs }: UpstreamTarget,
    lastEventId: string | undefined,
    { onEvent, onOver }: UpstreamHandlers,
  ) {
    const parser = new EventStreamParser({
      onEvent,
      onTooLarge: (skipped) => {
        onSkipped(skipped)
        onEvent(inPlaceOf(skipped))
      },
      maxEventBytes,
      lastEventId,
    })
    this.#parser = parser
    const over = (how: Over, error?: Error) => {
      if (this.#closed) return
      this.close()
      onOver(how, error)
    }
    this.#stopCheck = checkStuck({
      parser,
      stuckMs,
      isPaused: () => this.isPaused,
      onStuck: () =>
        over(
          'stuck',
          new Error(
            `The upstream has begun an event or a comment that has not ended for ${stuckMs / 1_000} s.`,
          ),
        ),
    })
    this.#response.on('data', (chunk: Buffer) => parser.push(chunk))
    this.#response.once('end', () => over('ended'))
    this.#response.once('error', (error) => over('failed', error))
    this.#response.once('close', () => over('failed', new Error('the connection was interrupted')))
    this.#request.on('error', (error) => over('failed', error))
  }
}

/** A response that is an event stream. */
interface Accepted {
  readonly access: UpstreamAccess
  readonly request: ClientRequest
  readonly response: IncomingMessage
}

async function askWithAccess(target: UpstreamTarget, lastEventId: string | undefined): Promise<Accepted> {
  const { credentials } = target
  const access = await credentials.access().catch(refuseWithoutToken)
  try {
    return await ask(target, access, lastEventId)
  } catch (error) {
    if (!isRejection(error)) throw error
    const next = await credentials.accessAfter(access).catch(refuseWithoutToken)
    if (!next) throw error
    return ask(target, next, lastEventId)
  }
}

/** @throws {HttpError} 502 `upstream_token_unavailable` for a {@link NoTokenError}, and any other error as it is */
export function refuseWithoutToken(error: unknown): never {
  if (error instanceof NoTokenError) throw unavailable(502, NO_TOKEN, error.message, error.cause)
  throw error
}

const UNAUTHORIZED = 'upstream_unauthorized'
const NO_TOKEN = 'upstream_token_unavailable'

/** Whether the upstream rejects this gateway, or its token endpoint does: no retry mends that soon. */
export const isRejection = (error: unknown): error is HttpError =>
  error instanceof HttpError && (error.code === UNAUTHORIZED || error.code === NO_TOKEN)

function ask(
  { url, timeoutMs, problemOf }: UpstreamTarget,
  access: UpstreamAccess,
  lastEventId: string | undefined,
): Promise<Accepted> {
  const { traceparent, tell } = beginCall({ peer: 'sse-server', method: 'GET', path: new URL(url).pathname })
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? https : http).request(url, {
      // Each stream has its own connection: in a pool of ten, the eleventh would wait forever.
      agent: false,
      ...access.tls,
      headers: {
        ...access.headers,
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
      const refusal = refusalOf(response) ?? problemOf?.(response.headers)
      if (refusal) return refuse(refusal)
      clearTimeout(timer)
      request.removeAllListeners('error')
      resolve({ access, request, response })
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
  if (statusCode === 401 || statusCode === 403) return unauthorized(statusCode, headers['www-authenticate'])
  if (statusCode !== 200)
    return unavailable(502, 'upstream_refused', `The upstream answered ${statusCode}, not an event stream.`)
  const type = headers['content-type'] ?? ''
  if (!/^text\/event-stream\s*(;|$)/i.test(type))
    return unavailable(502, 'upstream_not_a_stream', 'The upstream response is not an event stream.')
  return undefined
}

/** Longer than a challenge with all its registered parameters. */
const MAX_SHOWN_CHALLENGE = 300

/** Only the log shows the challenge of the upstream. */
const unauthorized = (status: number, challenge: string | undefined) =>
  unavailable(
    502,
    UNAUTHORIZED,
    `The upstream answered ${status}: it does not accept the credentials of this gateway.`,
    challenge && new Error(`WWW-Authenticate: ${challenge.slice(0, MAX_SHOWN_CHALLENGE)}`),
  )
