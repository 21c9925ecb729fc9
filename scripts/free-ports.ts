import { randomInt } from 'node:crypto'
import { wireSuite } from './suite.ts'
import { listenError } from './taken-ports.ts'

/** Gives each documented port of the suite a free one. */
export async function assignFreePorts(): Promise<(documented: number) => number> {
  const documented = new Set<number>()
  wireSuite({ stateFolder: '', port: (port) => documented.add(port).size })
  const free = await freePorts(documented.size)
  const assigned = new Map([...documented].map((port, index) => [port, free[index] as number]))
  return (port) => assigned.get(port) as number
}

/**
 * Below the ports that systems give to whoever asks for any (Linux from 32768, others from 49152), so that no other
 * test gets one of these between now and the moment when a service takes it; above what services are known to use.
 */
const FIRST = 20_000
const LAST = 32_000
const given = new Set<number>()

/** Ports that nobody listens on, none of them given before by this process. */
export async function freePorts(count: number): Promise<number[]> {
  const free: number[] = []
  while (free.length < count) {
    const port = randomInt(FIRST, LAST)
    if (given.has(port) || (await listenError(port)) !== undefined) continue
    given.add(port)
    free.push(port)
  }
  return free
}
