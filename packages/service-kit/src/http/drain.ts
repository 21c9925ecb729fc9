import net from 'node:net'
import { cappedMs } from '@hallpass/untrusted/timers'
import { Returners, takeTime, untilUnused } from './drain-pauses.ts'

/** A server that stops, of any version of HTTP. */
export interface DrainedServer {
  readonly server: net.Server
  /** Asks clients to leave their connections otherwise than in an answer, as by GOAWAY; returns how many. */
  readonly askClients?: () => number
  /** Closes the connections on which nothing is open. */
  readonly closeIdle: () => void
  /** Closes every connection. */
  readonly cut: () => void
}

export interface DrainOptions {
  /** How long connections are still accepted. */
  readonly delayMs: number
  /** What is busy so long after the listeners have closed is cut. */
  readonly deadlineMs: number
  /** Called when no more requests are expected, to end what would not end by itself. */
  readonly onClosing: () => void | Promise<void>
}

/**
 * The end of a service, so that no connection is closed under a request. A client that keeps its connection cannot know
 * that the server is about to close it; so the server says it: in an answer (`Connection: close`, RFC 9112 §9.6) or by
 * GOAWAY (RFC 9113 §6.8).
 * The order matters: a client that has left comes back at once, and a connection that waits to be accepted at the very
 * moment in which the listener closes would be reset. A client that connects during the delay therefore keeps its
 * connection until the listener is closed, and that happens when nobody has connected for a moment.
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

  /** @param askToLeave says in an answer that its client must leave; returns whether it still could */
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

  /** Must see each connection that is not a socket, as a session of HTTP/2. */
  connected(connection: object): void {
    if (this.#stage === 'delaying') this.#late.add(connection)
  }

  /** Must see each request before it is answered. */
  began(exchange: Exchange, connection: object): void {
    this.#open.add(exchange)
    if (this.#stage === 'serving' || (this.#stage === 'delaying' && this.#late.has(connection))) return
    this.#ask(exchange)
  }

  ended(exchange: Exchange): void {
    this.#open.delete(exchange)
    if (this.#stage === 'lingering') this.#activeAt = performance.now()
    // Its head was sent before the drain began, so the client was not asked to leave.
    if (this.#stage === 'closing') this.#closeIdleSoon()
  }

  /** Resolves when every connection is closed. */
  async run({ delayMs, deadlineMs, onClosing }: DrainOptions): Promise<void> {
    this.#stage = 'delaying'
    this.#askAll()
    if (delayMs > 0) {
      await takeTime(delayMs)
      await this.#returners.untilBack()
    }
    this.#stage = 'lingering'
    this.#askAll()
    // Unlike net's, the close of an HTTP server cuts idle connections, the next request on its way or not.
    const closed = Promise.all(
      this.#servers.map(
        ({ server }) => new Promise((resolve) => net.Server.prototype.close.call(server, resolve)),
      ),
    )
    const deadline = setTimeout(() => {
      for (const { cut } of this.#servers) cut()
    }, cappedMs(deadlineMs))
    this.#activeAt = performance.now()
    if (delayMs > 0) await Promise.race([closed, untilUnused(() => this.#activeAt)])
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

  /** Once for all exchanges that end in one turn. */
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
