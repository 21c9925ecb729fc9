import { type AddressInfo, createServer } from 'node:net'
import { wireSuite } from './suite.ts'

/** Gives each documented port of the suite a free one. */
export async function assignFreePorts(): Promise<(documented: number) => number> {
  const documented = new Set<number>()
  wireSuite({ stateFolder: '', port: (port) => documented.add(port).size })
  const free = await freePorts(documented.size)
  const assigned = new Map([...documented].map((port, index) => [port, free[index] as number]))
  return (port) => assigned.get(port) as number
}

/** All are held at once, so that no two are the same. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject).listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
