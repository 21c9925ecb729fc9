import http2 from 'node:http2'
import https from 'node:https'
import type { Readable } from 'node:stream'
import { EventStreamParser, type StreamEvent } from '@hallpass/event-stream'

export interface ClientRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** An answer as its bytes arrive. */
export class Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly events: StreamEvent[] = []
  text = ''
  /** When each event arrived, in milliseconds since the epoch. */
  readonly arrivedAt: number[] = []
  ended: 'no' | 'cleanly' | 'cut' = 'no'
  readonly body: Readable
  readonly close: () => void
  #listeners: (() => void)[] = []

  constructor(
    status: number,
    headers: Answer['headers'],
    body: Readable,
    close: () => void,
    wasClean: () => boolean,
  ) {
    this.status = status
    this.headers = headers
    this.body = body
    this.close = close
    const parser = new EventStreamParser({
      maxEventBytes: 8 * 1024 * 1024,
      onEvent: (event) => {
        this.events.push(event)
        this.arrivedAt.push(Date.now())
      },
    })
    body.on('data', (chunk: Buffer) => {
      this.text += chunk.toString()
      parser.push(chunk)
      this.#notify()
    })
    body.on('error', () => {})
    body.on('close', () => {
      this.ended = wasClean() ? 'cleanly' : 'cut'
      this.#notify()
    })
  }

  get json(): Record<string, unknown> {
    return JSON.parse(this.text)
  }

  /** The types and data of the events, `challenge` and `end` among them. */
  get seen(): string[] {
    return this.events.map(({ event, data }) => (event === undefined ? data : `${event}:${data}`))
  }

  async until(condition: (answer: this) => boolean, timeoutMs = 5_000): Promise<this> {
    const deadline = AbortSignal.timeout(timeoutMs)
    while (!condition(this)) {
      if (deadline.aborted)
        throw new Error(
          `The answer has only: ${JSON.stringify(this.text.slice(-500))} (ended: ${this.ended})`,
        )
      await new Promise<void>((resolve) => {
        this.#listeners.push(resolve)
        deadline.onabort = () => resolve()
      })
    }
    return this
  }

  event(type: string): Promise<this> {
    return this.until(({ events }) => events.some(({ event }) => event === type))
  }

  end(): Promise<this> {
    return this.until(({ ended }) => ended !== 'no')
  }

  #notify() {
    for (const listener of this.#listeners.splice(0)) listener()
  }
}

/** A connection to a gateway, over which requests are made. */
export interface Connection {
  request(path: string, request?: ClientRequest): Promise<Answer>
  close(): void
}

/** All requests share one HTTP/2 connection, as a browser's do. */
export async function connectHttp2(url: string, ca: string): Promise<Connection> {
  const session = http2.connect(url, { ca })
  session.on('error', () => {})
  await new Promise((resolve, reject) => {
    session.once('connect', resolve)
    session.once('error', reject)
  })
  return {
    close: () => session.destroy(),
    request: (path, { method = 'GET', headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const stream = session.request(
          { ':method': method, ':path': path, ...headers },
          { endStream: body === undefined },
        )
        if (body !== undefined) stream.end(body)
        stream.on('error', reject)
        stream.on('response', ({ ':status': status = 0, ...rest }) => {
          stream.on('error', () => {})
          let ended = false
          stream.once('end', () => {
            ended = true
          })
          resolve(
            whole(
              status,
              rest as Answer['headers'],
              stream,
              () => stream.close(http2.constants.NGHTTP2_CANCEL),
              () => ended && stream.rstCode === 0,
            ),
          )
        })
      }),
  }
}

/** Each request has an HTTP/1.1 connection of its own. */
export function connectHttp1(url: string, ca: string): Connection {
  const open = new Set<() => void>()
  return {
    close: () => {
      for (const close of open) close()
    },
    request: (path, { method = 'GET', headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const request = https.request(url + path, { ca, method, headers, agent: false }, (response) => {
          open.add(() => request.destroy())
          resolve(
            whole(
              response.statusCode ?? 0,
              response.headers,
              response,
              () => request.destroy(),
              () => response.complete,
            ),
          )
        })
        request.on('error', reject)
        request.end(body)
      }),
  }
}

/** A stream as soon as it begins; any other answer when it has come to its end. */
function whole(...parts: ConstructorParameters<typeof Answer>): Promise<Answer> {
  const answer = new Answer(...parts)
  return answer.headers['content-type'] === 'text/event-stream' ? Promise.resolve(answer) : answer.end()
}
