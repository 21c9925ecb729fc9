import { randomInt } from 'node:crypto'
import { wireSuite } from './suite.ts'
import { listenError } from './taken-ports.ts'

/** Maps each documented port of the suite to a free one. */
export async function assignFreePorts(): Promise<(documented: number) => number> {
  const documented = new Set<number>()
  wireSuite({ stateFolder: '', port: (port) => documented.add(port).size })
  const free = await freePorts(documented.size)
  const assigned = new Map([...documented].map((port, index) => [port, free[index] as number]))
  return (port) => assigned.get(port) as number
}

/**
 * Below the ephemeral ports (Linux from 32768, others from 49152), so that no other process is assigned one of these before
 * the service listens on it, and above well-known ports.
 */
const FIRST = 20_000
const LAST = 32_000
const given = new Set<number>()

/** Returns unused ports, none of which this process has returned before. */
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
