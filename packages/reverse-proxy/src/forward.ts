import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  AnswerTimeout,
  callBudget,
  DEADLINE_HEADER,
  deadlinePassed,
  HttpError,
  hasBody,
  PeerError,
} from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { Dispatcher } from 'undici'
import { answerHeaders } from './headers.ts'
import type { Upstream } from './upstream.ts'

/** How a forwarded request ended. */
export interface Outcome {
  /** The upstreams that were tried, as an access log shows them. */
  readonly upstreams: string
  /** The upstream's status; absent when it did not answer. */
  readonly upstreamStatus?: number
  /** From the first attempt to the last byte of the answer. */
  readonly upstreamMs: number
  readonly bytes: number
  /** Why there was no complete answer; absent when the client went away. */
  readonly failure?: HttpError
}

export interface ForwardFailure {
  readonly upstream: Upstream
  readonly error: HttpError
  /** Nothing of the request has left this process. */
  readonly unsent: boolean
}

export interface ForwardOptions {
  readonly upstream: Upstream
  /** As name, value, name, value …; `content-length` among them when there is one. */
  readonly headers: string[]
  /** Asked when a connection is ready to take the request; an error is the reason not to send it any more. */
  readonly refuseLate?: () => HttpError | undefined
  /** Another upstream for a request that may be sent again (RFC 9110 §9.2.2), or none. */
  readonly retry?: (failure: ForwardFailure) => Upstream | undefined
  /** Of the answer, in place of the upstream's fields of these names. */
  readonly answerFields?: readonly string[]
  /** When the client stops waiting for the head of the answer, on the clock of `performance.now()`, if it has said so. */
  readonly deadline: number | undefined
  /** Writes the answer when there is none from upstream. */
  readonly onFailure: (error: HttpError) => void
  readonly onEnd: (outcome: Outcome) => void
}

/** Methods that do the same when they are done twice (RFC 9110 §9.2.2); TRACE never gets this far. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/**
 * Sends a request on and its answer back, each as a stream: nothing is held, and a slow reader slows the writer.
 * The request's framing is made anew from what Node's strict parser understood, so two readers never disagree on
 * where it ends.
 */
export function forward(request: IncomingMessage, response: ServerResponse, options: ForwardOptions): void {
  new Forwarding(request, response, options).attempt(options.upstream)
}

class Forwarding implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #options: ForwardOptions
  readonly #started = performance.now()
  readonly #hasBody: boolean
  #upstream!: Upstream
  #upstreams = ''
  #upstreamStatus: number | undefined
  #bytes = 0
  #bodyTouched = false
  /** The client broke off in the middle of its body: nobody else is to blame. */
  #clientGone = false
  #sent = false
  /** The time for the answer is over. */
  #late = false
  #ended = false
  readonly #deadline: number | undefined
  #answerTimer: NodeJS.Timeout | undefined
  #abort: ((reason: Error) => void) | undefined
  #resume: (() => void) | undefined

  constructor(request: IncomingMessage, response: ServerResponse, options: ForwardOptions) {
    this.#request = request
    this.#response = response
    this.#options = options
    this.#hasBody = hasBody(request)
    this.#deadline = options.deadline
    // Ahead of the request's record, which ends when the response closes.
    response.prependListener('close', this.#closed)
  }

  attempt(upstream: Upstream): void {
    this.#upstream = upstream
    this.#upstreams = this.#upstreams ? `${this.#upstreams}, ${upstream.address}` : upstream.address
    this.#sent = false
    this.#abort = undefined
    const budgetMs = callBudget(this.#deadline, upstream.answerTimeoutMs)
    if (budgetMs === 0) {
      this.#refuse(deadlinePassed(upstream.name))
      return
    }
    this.#limitAnswer(budgetMs)
    try {
      upstream.pool.dispatch(
        {
          path: this.#request.url as string,
          method: this.#request.method as Dispatcher.HttpMethod,
          headers: this.#hasLimit
            ? [...this.#options.headers, DEADLINE_HEADER, `${budgetMs}`]
            : this.#options.headers,
          body: (this.#hasBody ? this.#body() : null) as null,
        },
        this,
      )
    } catch (error) {
      this.onError(error as Error)
    }
  }

  /** How long an upload takes is its sender's business; unless it says when it must be over, the pool's own timers do. */
  get #hasLimit(): boolean {
    return !this.#hasBody || this.#deadline !== undefined
  }

  #limitAnswer(budgetMs: number): void {
    clearTimeout(this.#answerTimer)
    if (!this.#hasLimit) return
    const upstream = this.#upstream
    this.#answerTimer = setTimeout(() => {
      this.#late = true
      const late = upstream.failure(new AnswerTimeout(), budgetMs)
      // A request that still waits for a connection has nothing that could be aborted.
      if (this.#abort) this.#abort(late)
      else this.onError(late)
    }, cappedMs(budgetMs))
  }

  // A generator that was not started can be thrown away: unlike a stream, it leaves the request unread for the next
  // upstream.
  async *#body() {
    this.#bodyTouched = true
    try {
      yield* this.#request
    } catch (error) {
      this.#clientGone = true
      throw error
    }
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort
    const refusal = this.#ended ? new Error('the client is gone') : this.#options.refuseLate?.()
    if (refusal) abort(refusal)
    else this.#sent = true
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, statusText: string): boolean {
    if (status < 200) return true
    clearTimeout(this.#answerTimer)
    this.#upstreamStatus = status
    this.#resume = resume
    const { fields, hasLength } = answerHeaders(raw, this.#options.answerFields)
    try {
      this.#response.writeHead(status, statusText, fields)
    } catch (cause) {
      this.#abort?.(
        new PeerError(
          this.#upstream.name,
          502,
          'peer_unexpected_answer',
          `${this.#upstream.name} answered with a head that cannot be passed on.`,
          cause,
        ),
      )
      return false
    }
    // A body of known length follows at once, and goes out together with its head; a stream may stay silent long.
    if (!hasLength) this.#response.flushHeaders()
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#response.write(chunk)) return true
    this.#response.once('drain', this.#resume as () => void)
    return false
  }

  onComplete(): void {
    this.#response.end()
    this.#end()
  }

  onError(cause: Error): void {
    if (this.#ended) return
    if (this.#clientGone) {
      this.#end()
      this.#response.destroy()
      return
    }
    const error = cause instanceof HttpError ? cause : this.#upstream.failure(cause)
    if (this.#response.headersSent) {
      // The client must see that the answer is not whole.
      this.#end(error)
      this.#response.destroy()
      return
    }
    const next = this.#mayRetry(error)
      ? this.#options.retry?.({ upstream: this.#upstream, error, unsent: !this.#sent })
      : undefined
    if (next) this.attempt(next)
    else this.#refuse(error)
  }

  #refuse(error: HttpError): void {
    this.#options.onFailure(error)
    this.#end(error)
  }

  #mayRetry(error: HttpError): boolean {
    // The next one would take as long; an upstream that does not even take connections has been given up before.
    if (this.#late || !(error instanceof PeerError) || this.#bodyTouched) return false
    if (!this.#sent) return true
    return error.status === 502 && !this.#hasBody && IDEMPOTENT.has(this.#request.method as string)
  }

  readonly #closed = () => {
    if (this.#ended) return
    this.#end()
    this.#abort?.(new Error('the client is gone'))
  }

  #end(failure?: HttpError): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#answerTimer)
    this.#options.onEnd({
      upstreams: this.#upstreams,
      ...(this.#upstreamStatus === undefined ? {} : { upstreamStatus: this.#upstreamStatus }),
      upstreamMs: performance.now() - this.#started,
      bytes: this.#bytes,
      ...(failure ? { failure } : {}),
    })
  }
}
