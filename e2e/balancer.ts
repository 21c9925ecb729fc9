import net, { type AddressInfo } from 'node:net'

/** A layer 4 load balancer: forwards each connection to the next port that accepts it. */
export class Balancer {
  readonly #ports: readonly number[]
  readonly #server = net.createServer((client) => this.#connect(client, this.#ports.length))
  readonly #sockets = new Set<net.Socket>()
  #turn = 0

  constructor(ports: readonly number[]) {
    this.#ports = ports
  }

  get url(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  /** Destroys every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  stop(): void {
    this.cut()
    this.#server.close()
  }

  #connect(client: net.Socket, tries: number) {
    this.#turn += 1
    const service = net.connect(this.#ports[this.#turn % this.#ports.length] as number, '127.0.0.1')
    client.on('error', () => {})
    service.once('error', () => {
      if (tries > 1) this.#connect(client, tries - 1)
      else client.destroy()
    })
    service.once('connect', () => {
      for (const socket of [client, service]) {
        this.#sockets.add(socket)
        socket
          .on('error', () => {})
          .once('close', () => {
            this.#sockets.delete(socket)
            client.destroy()
            service.destroy()
          })
      }
      client.pipe(service).pipe(client)
    })
  }
}
