import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { Dispatcher } from 'undici'
import { AnswerTimeout, headersOf } from './peer-answer.ts'

/** The head of a response, and its body as it arrives, which may take hours. */
export interface PeerStream {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Destroying it ends the call. If the peer breaks off, it emits undici's error; a listener for it is optional. */
  readonly body: Readable
}

/**
 * Sends one request and waits at most `timeoutMs` for the response headers, connecting included.
 * @throws {Error} undici's, or an {@link AnswerTimeout}
 */
export function openWithin(
  pool: Pick<Dispatcher, 'dispatch'>,
  request: Dispatcher.DispatchOptions,
  timeoutMs: number,
): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    pool.dispatch(
      { ...request, headersTimeout: 0, bodyTimeout: 0 },
      new StreamOpener(timeoutMs, resolve, reject),
    )
  })
}

class StreamOpener implements Dispatcher.DispatchHandler {
  readonly #opened: (stream: PeerStream) => void
  readonly #fail: (error: Error) => void
  readonly #deadline: NodeJS.Timeout
  #abort: ((reason: Error) => void) | undefined
  #resume: () => void = () => {}
  #body: Readable | undefined
  #ended = false

  constructor(timeoutMs: number, opened: (stream: PeerStream) => void, fail: (error: Error) => void) {
    this.#opened = opened
    this.#fail = fail
    this.#deadline = setTimeout(() => this.#giveUp(), cappedMs(timeoutMs))
  }

  onConnect(abort: (reason?: Error) => void): void {
    // The time may have run out before a connection was available.
    if (this.#ended) abort()
    else this.#abort = abort
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void): boolean {
    if (status < 200) return true
    clearTimeout(this.#deadline)
    this.#resume = resume
    const body = new Readable({
      read: () => this.#resume(),
      destroy: (error, done) => {
        if (!this.#ended) {
          this.#ended = true
          this.#abort?.(error ?? new Error('the reader closed the stream'))
        }
        done(error)
      },
    })
    // Without a listener an error would end the process; callers that need it add their own.
    body.on('error', () => {})
    this.#body = body
    this.#opened({ status, headers: headersOf(rawHeaders), body })
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#body?.push(chunk) ?? true
  }

  onComplete(): void {
    this.#ended = true
    this.#body?.push(null)
  }

  onError(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#deadline)
    if (this.#body) this.#body.destroy(error)
    else this.#fail(error)
  }

  #giveUp() {
    const late = new AnswerTimeout()
    this.onError(late)
    this.#abort?.(late)
  }
}
