import http, { type IncomingMessage } from 'node:http'
import net from 'node:net'
import { EventStreamParser, type StreamEvent } from '@hallpass/event-stream'

/** A stream client that records what it receives and can wait for a condition. */
export class StreamReader {
  readonly events: StreamEvent[] = []
  readonly comments: string[] = []
  readonly retries: number[] = []
  text = ''
  ended: 'no' | 'cleanly' | 'cut' = 'no'
  readonly response: IncomingMessage
  #changed = () => {}

  constructor(response: IncomingMessage) {
    this.response = response
    const parser = new EventStreamParser({
      onEvent: (event) => this.events.push(event),
      onComment: (text) => this.comments.push(text),
      onRetry: (milliseconds) => this.retries.push(milliseconds),
    })
    response.on('data', (chunk: Buffer) => {
      this.text += chunk.toString()
      parser.push(chunk)
      this.#changed()
    })
    response.on('error', () => {})
    response.on('close', () => {
      this.ended = response.complete ? 'cleanly' : 'cut'
      this.#changed()
    })
  }

  /** Resolves when the condition holds; after five seconds, rejects with what was received instead. */
  async until(condition: (reader: this) => boolean): Promise<this> {
    const deadline = AbortSignal.timeout(5_000)
    while (!condition(this)) {
      if (deadline.aborted)
        throw new Error(`The stream contains only: ${JSON.stringify(this.text)} (ended: ${this.ended})`)
      await new Promise<void>((resolve) => {
        this.#changed = resolve
        deadline.onabort = () => resolve()
      })
    }
    return this
  }

  data(): string[] {
    return this.events.map(({ data }) => data)
  }

  close(): void {
    this.response.destroy()
  }
}

/** Opens a stream, and resolves when the response headers arrive. */
export function openStream(url: string, headers: Record<string, string> = {}): Promise<StreamReader> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { headers, agent: false }, (response) => resolve(new StreamReader(response)))
      .on('error', reject)
  })
}

/** Sends strings as `nc -N` does, and resolves to the response once the other side has closed. */
export function sendTcp(url: string, ...pieces: readonly string[]): Promise<string> {
  const socket = net.connect(Number(new URL(url).port), 'localhost')
  return new Promise((resolve, reject) => {
    let answer = ''
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(answer))
    const [first = '', ...rest] = pieces
    socket.write(first, () => {
      const next = () => {
        const piece = rest.shift()
        if (piece === undefined) socket.end()
        else socket.write(piece, () => setImmediate(next))
      }
      next()
    })
  })
}
