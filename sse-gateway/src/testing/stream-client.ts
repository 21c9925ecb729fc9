import http2 from 'node:http2'
import https from 'node:https'
import type { Readable } from 'node:stream'
import { EventStreamParser, type StreamEvent } from '@hallpass/event-stream'

export interface ClientRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** A response, updated as its bytes arrive. */
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

  /** Returns the types and data of all events, including `challenge` and `end`. */
  get seen(): string[] {
    return this.events.map(({ event, data }) => (event === undefined ? data : `${event}:${data}`))
  }

  async until(condition: (answer: this) => boolean, timeoutMs = 5_000): Promise<this> {
    const deadline = AbortSignal.timeout(timeoutMs)
    while (!condition(this)) {
      if (deadline.aborted)
        throw new Error(
          `The response contains only: ${JSON.stringify(this.text.slice(-500))} (ended: ${this.ended})`,
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

/** A connection to a gateway that sends requests. */
export interface Connection {
  request(path: string, request?: ClientRequest): Promise<Answer>
  close(): void
}

/** An HTTP/2 connection whose streams can be sent only as many bytes as it allows. */
export interface NarrowConnection extends Connection {
  /** Sets how many bytes each of its streams can be sent in total (RFC 9113 §6.9.2); 0 at first. */
  allow(bytes: number): void
}

/** Connects over HTTP/2, with a flow-control window of 0 for each stream. */
export async function connectNarrow(url: string, ca: string): Promise<NarrowConnection> {
  const session = await openSession(url, ca, { initialWindowSize: 0 })
  return { ...overSession(session), allow: (bytes) => session.settings({ initialWindowSize: bytes }) }
}

/** Connects over HTTP/2; all requests share the connection, as in a browser. */
export async function connectHttp2(url: string, ca: string): Promise<Connection> {
  return overSession(await openSession(url, ca))
}

async function openSession(url: string, ca: string, settings: http2.Settings = {}) {
  const session = http2.connect(url, { ca, settings })
  session.on('error', () => {})
  await new Promise((resolve, reject) => {
    session.once('connect', resolve)
    session.once('error', reject)
  })
  return session
}

function overSession(session: http2.ClientHttp2Session): Connection {
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

/** Returns a client that sends each request on a new HTTP/1.1 connection. */
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

/** Resolves immediately for an event stream, and when the response is complete for anything else. */
function whole(...parts: ConstructorParameters<typeof Answer>): Promise<Answer> {
  const answer = new Answer(...parts)
  return answer.headers['content-type'] === 'text/event-stream' ? Promise.resolve(answer) : answer.end()
}
