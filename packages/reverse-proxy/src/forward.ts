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
import { faultOfRequest } from './request-fault.ts'
import type { Upstream } from './upstream.ts'

/** The result of a forwarded request. */
export interface Outcome {
  /** The upstreams that were tried, as shown in an access log. */
  readonly upstreams: string
  /** The upstream's status; absent if it did not respond. */
  readonly upstreamStatus?: number
  /** From the first attempt to the last byte of the response. */
  readonly upstreamMs: number
  readonly bytes: number
  /** Why there is no complete response; absent if the client disconnected. */
  readonly failure?: HttpError
}

export interface ForwardFailure {
  readonly upstream: Upstream
  readonly error: HttpError
  /** Whether nothing of the request has been sent. */
  readonly unsent: boolean
}

export interface ForwardOptions {
  readonly upstream: Upstream
  /** Alternating names and values, including `content-length` if there is one. */
  readonly headers: string[]
  /** Called when a connection is ready for the request; an error is the reason not to send it after all. */
  readonly refuseLate?: () => HttpError | undefined
  /** Returns another upstream for a request that may be retried (RFC 9110 §9.2.2), or nothing. */
  readonly retry?: (failure: ForwardFailure) => Upstream | undefined
  /** Headers of the response that replace those of the upstream with the same names. */
  readonly answerFields?: readonly string[]
  /**
   * When the client stops waiting for the response headers, on the clock of `performance.now()`, if it sent a deadline.
   */
  readonly deadline: number | undefined
  /** Answers the client if the upstream did not. */
  readonly onFailure: (error: HttpError) => void
  readonly onEnd: (outcome: Outcome) => void
}

/** Idempotent methods (RFC 9110 §9.2.2), safe to retry; TRACE is rejected earlier. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/**
 * Forwards a request and returns its response, both as streams: nothing is buffered, and a slow reader slows the
 * writer. The framing of the request is rebuilt from what Node's strict parser understood, so two readers never
 * disagree on where it ends.
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
  /** The client disconnected in the middle of its body, so no failure is reported. */
  #clientGone = false
  #sent = false
  /** The time limit for the response has passed. */
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
    // Runs before the listener of the request's record, which ends when the response closes.
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

  /** An upload may take as long as its sender needs; without a deadline only the pool's own timeouts apply. */
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
      // A request that is still waiting for a connection cannot be aborted.
      if (this.#abort) this.#abort(late)
      else this.onError(late)
    }, cappedMs(budgetMs))
  }

  // A generator that was never started can be discarded: unlike a stream, it leaves the request unread for the next
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
    const refusal = this.#ended ? new Error('the client disconnected') : this.#options.refuseLate?.()
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
          `${this.#upstream.name} sent response headers that cannot be forwarded.`,
          cause,
        ),
      )
      return false
    }
    // A body of known length follows immediately and is sent together with the headers; a stream may stay silent for
    // long.
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
    const error =
      cause instanceof HttpError ? cause : (faultOfRequest(cause) ?? this.#upstream.failure(cause))
    if (this.#response.headersSent) {
      // The client must be able to detect that the response is incomplete.
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
    // The next upstream would take as long; one that does not even accept connections has timed out before this.
    if (this.#late || !(error instanceof PeerError) || this.#bodyTouched) return false
    if (!this.#sent) return true
    return error.status === 502 && !this.#hasBody && IDEMPOTENT.has(this.#request.method as string)
  }

  readonly #closed = () => {
    if (this.#ended) return
    this.#end()
    this.#abort?.(new Error('the client disconnected'))
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
