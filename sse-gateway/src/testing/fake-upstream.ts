import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

/** An HTTP server that sends exactly the bytes that a test gives it. */
export class FakeUpstream {
  /** All requests, including those whose stream has ended. */
  readonly requests: IncomingMessage[] = []
  /** The open streams, oldest first. */
  readonly streams: ServerResponse[] = []
  /** Answers a request; by default with an event stream that stays open. */
  answer: (request: IncomingMessage, response: ServerResponse) => void = (request, response) =>
    this.stream(request, response)
  readonly #tls: https.ServerOptions | undefined
  #server: http.Server | https.Server | undefined
  readonly #sockets = new Set<Socket>()
  #port = 0
  #changed: () => void = () => {}

  /** @param tls makes it an https server, for `localhost`. */
  constructor(tls?: https.ServerOptions) {
    this.#tls = tls
  }

  get url(): string {
    return this.#tls ? `https://localhost:${this.#port}/events` : `http://127.0.0.1:${this.#port}/events`
  }

  async start(): Promise<this> {
    const listener: http.RequestListener = (request, response) => {
      this.requests.push(request)
      this.answer(request, response)
      this.#changed()
    }
    const server = this.#tls ? https.createServer(this.#tls, listener) : http.createServer(listener)
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
    return this
  }

  /** Stops and closes all connections; `start` listens on the same port again. */
  async kill(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** Resets to the state before the first request. */
  forget(): void {
    this.requests.length = 0
    this.answer = (request, response) => this.stream(request, response)
  }

  stream(_request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    this.streams.push(response)
    response.once('close', () => {
      this.streams.splice(this.streams.indexOf(response), 1)
      this.#changed()
    })
  }

  /** Sends bytes to all open streams. */
  send(bytes: string | Uint8Array): void {
    for (const stream of this.streams) stream.write(bytes)
  }

  async until(condition: (upstream: this) => boolean, timeoutMs = 5_000): Promise<void> {
    const deadline = AbortSignal.timeout(timeoutMs)
    while (!condition(this)) {
      if (deadline.aborted)
        throw new Error(`The upstream has ${this.requests.length} requests, ${this.streams.length} open.`)
      await new Promise<void>((resolve) => {
        this.#changed = resolve
        deadline.onabort = () => resolve()
      })
    }
  }
}
