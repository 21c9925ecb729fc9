import net from 'node:net'
import { afterAll, beforeAll } from '@jest/globals'

/** A proxy to a server whose connections a test can destroy, as a change of networks does. */
export function useCuttableConnection(target: () => string) {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(new URL(target()).port), '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream).pipe(client)
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => {
    cut()
    server.close()
  })
  return {
    cut,
    get url(): string {
      return `https://localhost:${(server.address() as net.AddressInfo).port}`
    },
  }
}
