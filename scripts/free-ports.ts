import { freePorts } from '@hallpass/free-ports'
import { wireSuite } from './suite.ts'

/** Maps each documented port of the suite to a free one. */
export async function assignFreePorts(): Promise<(documented: number) => number> {
  const documented = new Set<number>()
  wireSuite({ stateFolder: '', port: (port) => documented.add(port).size })
  const free = await freePorts(documented.size)
  const assigned = new Map([...documented].map((port, index) => [port, free[index] as number]))
  return (port) => assigned.get(port) as number
}
