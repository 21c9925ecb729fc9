import net from 'node:net'
import { cappedMs } from '@hallpass/untrusted/timers'
import { Returners, takeTime, untilUnused } from './drain-pauses.ts'

/** A stopping server, of any version of HTTP. */
export interface DrainedServer {
  readonly server: net.Server
  /** Asks clients to leave by means other than a response, e.g. GOAWAY; returns how many were asked. */
  readonly askClients?: () => number
  /** Closes the connections without an open request. */
  readonly closeIdle: () => void
  /** Closes every connection. */
  readonly cut: () => void
}

export interface DrainOptions {
  /**
   * How long connections are accepted after the drain begins; 0 gives clients only the time to leave. Without it, the
   * connections that are idle at that moment are closed at once, and with them a request that is on its way.
   */
  readonly delayMs: number | undefined
  /** Connections that are still busy this long after the listeners closed are destroyed. */
  readonly deadlineMs: number
  /** Called when no more requests are expected, to end what would not end on its own, e.g. streams. */
  readonly onClosing: () => void | Promise<void>
}

/**
 * Stops a service without closing a connection under a request. A client that keeps its connection alive cannot know
 * that the server is about to close it, so the server announces it: in a response (`Connection: close`, RFC 9112 §9.6)
 * or by GOAWAY (RFC 9113 §6.8).
 * The order matters. A client that has left reconnects immediately, and a connection that is waiting to be accepted
 * when the listener closes would be reset. A client that connects during the delay therefore keeps its connection until
 * the listener is closed, and the listener closes once no client has connected for a moment.
 */
export class Drain<Exchange> {
  readonly #askToLeave: (exchange: Exchange) => boolean
  readonly #servers: DrainedServer[] = []
  readonly #open = new Set<Exchange>()
  readonly #late = new WeakSet<object>()
  readonly #returners = new Returners()
  #stage: 'serving' | 'delaying' | 'lingering' | 'closing' = 'serving'
  #activeAt = 0
  #closesIdle = false

  /** @param askToLeave asks the client to leave in the response; returns false if it is too late for that */
  constructor(askToLeave: (exchange: Exchange) => boolean) {
    this.#askToLeave = askToLeave
  }

  add(drained: DrainedServer): void {
    this.#servers.push(drained)
    drained.server
      .on('connection', (socket) => {
        this.connected(socket)
        if (this.#stage === 'delaying') this.#returners.comes()
      })
      .on('secureConnection', (socket) => this.connected(socket))
  }

  /** Must be called for each connection that is not a socket, e.g. an HTTP/2 session. */
  connected(connection: object): void {
    if (this.#stage === 'delaying') this.#late.add(connection)
  }

  /** Must be called for each request before it is answered. */
  began(exchange: Exchange, connection: object): void {
    this.#open.add(exchange)
    if (this.#stage === 'serving' || (this.#stage === 'delaying' && this.#late.has(connection))) return
    this.#ask(exchange)
  }

  ended(exchange: Exchange): void {
    this.#open.delete(exchange)
    if (this.#stage === 'lingering') this.#activeAt = performance.now()
    // The response headers were sent before the drain began, so the client was not asked to leave.
    if (this.#stage === 'closing') this.#closeIdleSoon()
  }

  /** Resolves when every connection is closed. */
  async run({ delayMs, deadlineMs, onClosing }: DrainOptions): Promise<void> {
    this.#stage = 'delaying'
    this.#askAll()
    if (delayMs !== undefined) {
      await takeTime(delayMs)
      await this.#returners.untilBack()
    }
    this.#stage = 'lingering'
    this.#askAll()
    // Unlike that of net, an HTTP server's close destroys idle connections even if a request is already on its way.
    const closed = Promise.all(
      this.#servers.map(
        ({ server }) => new Promise((resolve) => net.Server.prototype.close.call(server, resolve)),
      ),
    )
    const deadline = setTimeout(() => {
      for (const { cut } of this.#servers) cut()
    }, cappedMs(deadlineMs))
    this.#activeAt = performance.now()
    if (delayMs !== undefined) await Promise.race([closed, untilUnused(() => this.#activeAt)])
    this.#stage = 'closing'
    this.#closeIdle()
    await Promise.all([closed, onClosing()])
    clearTimeout(deadline)
  }

  #askAll() {
    for (const { askClients } of this.#servers) this.#returners.leave(askClients?.() ?? 0)
    for (const exchange of this.#open) this.#ask(exchange)
  }

  #ask(exchange: Exchange) {
    if (this.#askToLeave(exchange)) this.#returners.leave(1)
  }

  /** Closes idle connections once for all exchanges that end in the same turn of the event loop. */
  #closeIdleSoon() {
    if (this.#closesIdle) return
    this.#closesIdle = true
    setImmediate(() => {
      this.#closesIdle = false
      this.#closeIdle()
    })
  }

  #closeIdle() {
    for (const { closeIdle } of this.#servers) closeIdle()
  }
}
