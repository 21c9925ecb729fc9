import net from 'node:net'

/** How the provider is unavailable: connections are refused, or are accepted and never answered. */
export type Outage = 'refuses' | 'hangs'

/** A forwarder in front of a provider. It makes the provider unavailable without a restart, which would lose its state. */
export class Front {
  readonly #port: number
  readonly #target: number
  readonly #sockets = new Set<net.Socket>()
  #server: net.Server | undefined
  #hangs = false

  /** @param port on which it listens; @param target the port of the provider. */
  constructor(port: number, target: number) {
    this.#port = port
    this.#target = target
  }

  async open(): Promise<void> {
    this.#hangs = false
    // Those that hang would never be answered.
    this.#cut()
    if (this.#server) return
    const server = net.createServer((client) => {
      this.#keep(client)
      if (this.#hangs) return
      const provider = net.connect(this.#target, '127.0.0.1')
      this.#keep(provider)
      client.once('close', () => provider.destroy())
      provider.once('close', () => client.destroy())
      client.pipe(provider).pipe(client)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#server = server
  }

  async fail(outage: Outage): Promise<void> {
    if (outage === 'hangs') await this.open()
    this.#hangs = outage === 'hangs'
    this.#cut()
    if (outage === 'refuses') await this.close()
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#cut()
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
