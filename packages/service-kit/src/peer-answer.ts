import type { IncomingHttpHeaders } from 'node:http'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { Dispatcher } from 'undici'

/** What a peer answered, whole. */
export interface PeerAnswer {
  readonly status: number
  /** Names in lower case; of a name that comes again the values are joined (RFC 9110 §5.3). */
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A peer that began to answer and does not come to an end. */
export class DripTimeout extends Error {
  readonly code = 'BODY_TIMEOUT'
}

/**
 * Asks once and waits no longer than `timeoutMs` for the whole of it, connecting included.
 * @throws {Error} undici's, or a {@link DripTimeout}
 */
export function askWithin(
  pool: Pick<Dispatcher, 'dispatch'>,
  request: Dispatcher.DispatchOptions,
  timeoutMs: number,
): Promise<PeerAnswer> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new DripTimeout()), cappedMs(timeoutMs))
    const ended =
      <T>(tell: (outcome: T) => void) =>
      (outcome: T) => {
        clearTimeout(deadline)
        tell(outcome)
      }
    const reader = new AnswerReader(timeoutMs, ended(resolve), ended(reject))
    pool.dispatch({ ...request, headersTimeout: timeoutMs }, reader)
  })
}

/**
 * Takes one answer from the pool's parser as it comes. An answer of the suite is there at once, head and body; the
 * pool's request(), with a stream for the body and a promise for each part, costs half as much again as the call.
 */
export class AnswerReader implements Dispatcher.DispatchHandler, PeerAnswer {
  status = 0
  text = ''
  #rawHeaders: readonly Buffer[] = []
  readonly #chunks: Buffer[] = []
  readonly #timeoutMs: number
  readonly #done: (answer: PeerAnswer) => void
  readonly #fail: (error: Error) => void
  #abort: ((reason: Error) => void) | undefined
  #deadline: NodeJS.Timeout | undefined
  #ended = false

  constructor(timeoutMs: number, done: (answer: PeerAnswer) => void, fail: (error: Error) => void) {
    this.#timeoutMs = timeoutMs
    this.#done = done
    this.#fail = fail
  }

  /** Read when asked for: nearly every caller looks at the status alone. */
  get headers(): IncomingHttpHeaders {
    const headers: Record<string, string> = {}
    for (let index = 0; index < this.#rawHeaders.length; index += 2) {
      const name = String(this.#rawHeaders[index]).toLowerCase()
      const value = (this.#rawHeaders[index + 1] as Buffer).toString('latin1')
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
    }
    return headers
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort
  }

  onHeaders(status: number, rawHeaders: Buffer[]): boolean {
    if (status < 200) return true
    this.status = status
    this.#rawHeaders = rawHeaders
    // What came in one piece has ended by then and needs no timer.
    queueMicrotask(() => this.#limitTime())
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    return true
  }

  onComplete(): void {
    this.#end()
    const [first, ...more] = this.#chunks
    this.text = (more.length === 0 ? first : Buffer.concat(this.#chunks))?.toString('utf8') ?? ''
    this.#done(this)
  }

  onError(error: Error): void {
    this.#end()
    this.#fail(error)
  }

  /** The pool's own body timer starts anew with each chunk; a peer that drips must not hold the caller for ever. */
  #limitTime() {
    if (this.#ended) return
    this.#deadline = setTimeout(() => this.#abort?.(new DripTimeout()), cappedMs(this.#timeoutMs))
  }

  #end() {
    this.#ended = true
    clearTimeout(this.#deadline)
  }
}
