import type { IncomingHttpHeaders } from 'node:http'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { Dispatcher } from 'undici'

/** The complete response of a peer. */
export interface PeerAnswer {
  readonly status: number
  /** Names in lower case; repeated headers are joined (RFC 9110 §5.3), except `set-cookie`. */
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A peer that did not complete its response in time. */
export class AnswerTimeout extends Error {
  readonly code = 'ANSWER_TIMEOUT'
}

/**
 * Sends one request and waits at most `timeoutMs` for the complete response, connecting included.
 * @throws {Error} undici's, or an {@link AnswerTimeout}
 */
export function askWithin(
  pool: Pick<Dispatcher, 'dispatch'>,
  request: Dispatcher.DispatchOptions,
  timeoutMs: number,
): Promise<PeerAnswer> {
  return new Promise((resolve, reject) => {
    // The pool's own timers are accurate to about a second, which is too coarse for a deadline.
    pool.dispatch(
      { ...request, headersTimeout: 0, bodyTimeout: 0 },
      new AnswerReader(timeoutMs, resolve, reject),
    )
  })
}

/**
 * Collects one response from the pool's parser as it arrives. A response of the suite usually arrives whole; the pool's
 * `request()`, with a stream for the body and a promise for each part, would add half the cost of the call.
 */
class AnswerReader implements Dispatcher.DispatchHandler, PeerAnswer {
  status = 0
  text = ''
  #rawHeaders: readonly Buffer[] = []
  readonly #chunks: Buffer[] = []
  readonly #done: (answer: PeerAnswer) => void
  readonly #fail: (error: Error) => void
  #abort: ((reason: Error) => void) | undefined
  readonly #deadline: NodeJS.Timeout
  #ended = false

  constructor(timeoutMs: number, done: (answer: PeerAnswer) => void, fail: (error: Error) => void) {
    this.#done = done
    this.#fail = fail
    this.#deadline = setTimeout(() => this.#giveUp(), cappedMs(timeoutMs))
  }

  /** Parsed on demand: nearly every caller needs only the status. */
  get headers(): IncomingHttpHeaders {
    return headersOf(this.#rawHeaders)
  }

  onConnect(abort: (reason?: Error) => void): void {
    // The time may have run out before a connection was available.
    if (this.#ended) abort()
    else this.#abort = abort
  }

  onHeaders(status: number, rawHeaders: Buffer[]): boolean {
    if (status < 200) return true
    this.status = status
    this.#rawHeaders = rawHeaders
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    return true
  }

  onComplete(): void {
    if (this.#ended) return
    this.#end()
    const [first, ...more] = this.#chunks
    this.text = (more.length === 0 ? first : Buffer.concat(this.#chunks))?.toString('utf8') ?? ''
    this.#done(this)
  }

  onError(error: Error): void {
    if (this.#ended) return
    this.#end()
    this.#fail(error)
  }

  #giveUp() {
    const late = new AnswerTimeout()
    this.onError(late)
    this.#abort?.(late)
  }

  #end() {
    this.#ended = true
    clearTimeout(this.#deadline)
  }
}

export function headersOf(raw: readonly Buffer[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {}
  for (let index = 0; index < raw.length; index += 2) {
    const name = String(raw[index]).toLowerCase()
    const value = (raw[index + 1] as Buffer).toString('latin1')
    if (name === 'set-cookie') headers[name] = [...(headers[name] ?? []), value]
    else headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}
