import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { cappedMs } from '@hallpass/untrusted/timers'
import { pause, Returners, untilUnused } from './drain-pauses.ts'

export interface DrainOptions {
  /** How long connections are still accepted. */
  readonly delayMs: number
  /** What is busy so long after the listeners have closed is cut. */
  readonly deadlineMs: number
  /** Called when no more requests are expected, to end what would not end by itself. */
  readonly onClosing: () => void | Promise<void>
}

/**
 * The connections of a service, so that none is closed under a request. A client that keeps its connection cannot
 * know that the server is about to close it; so the server says it in an answer (`Connection: close`, RFC 9112 §9.6).
 * The order matters: a client that has left comes back at once, and a connection that waits to be accepted at the very
 * moment in which the listener closes would be reset. A client that connects during the delay therefore keeps its
 * connection until the listener is closed, and that happens when nobody has connected for a moment.
 */
export class Connections {
  readonly #servers: Server[] = []
  readonly #answering = new Set<ServerResponse>()
  readonly #late = new WeakSet<Duplex>()
  #stage: 'serving' | 'delaying' | 'lingering' | 'closing' = 'serving'
  readonly #returners = new Returners()
  #activeAt = 0

  add(server: Server): void {
    this.#servers.push(server)
    const accept = (socket: Duplex) => {
      if (this.#stage !== 'serving') this.#late.add(socket)
    }
    server.on('secureConnection', accept).on('connection', (socket) => {
      accept(socket)
      if (this.#stage === 'delaying') this.#returners.comes()
    })
  }

  /** Must see each request before it is answered. */
  take({ socket }: IncomingMessage, response: ServerResponse): void {
    this.#answering.add(response)
    response.once('close', () => {
      this.#answering.delete(response)
      if (this.#stage === 'lingering') this.#activeAt = performance.now()
      // Its head was sent before the drain began, so the client was not asked to leave.
      if (this.#stage === 'closing') setImmediate(() => this.#closeIdle())
    })
    if (this.#stage === 'serving' || (this.#stage === 'delaying' && this.#late.has(socket))) return
    this.#ask(response)
  }

  /** Resolves when every connection is closed. */
  async drain({ delayMs, deadlineMs, onClosing }: DrainOptions): Promise<void> {
    this.#stage = 'delaying'
    this.#askToLeave()
    if (delayMs > 0) {
      await pause(delayMs)
      await this.#returners.untilBack()
    }
    this.#stage = 'lingering'
    this.#askToLeave()
    // Unlike net's, the close of an HTTP server cuts idle connections, the next request on its way or not.
    const closed = Promise.all(
      this.#servers.map(
        (server) => new Promise((resolve) => net.Server.prototype.close.call(server, resolve)),
      ),
    )
    const deadline = setTimeout(() => {
      for (const server of this.#servers) server.closeAllConnections()
    }, cappedMs(deadlineMs))
    this.#activeAt = performance.now()
    if (delayMs > 0) await Promise.race([closed, untilUnused(() => this.#activeAt)])
    this.#stage = 'closing'
    for (const server of this.#servers) server.close()
    await Promise.all([closed, onClosing()])
    clearTimeout(deadline)
  }

  #askToLeave() {
    for (const response of this.#answering) if (!response.headersSent) this.#ask(response)
  }

  #ask(response: ServerResponse) {
    response.setHeader('connection', 'close')
    this.#returners.leaves()
  }

  #closeIdle() {
    for (const server of this.#servers) server.closeIdleConnections()
  }
}
