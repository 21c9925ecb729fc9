import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

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

/** Returns one such port. */
export const freePort = async (): Promise<number> => (await freePorts(1))[0] as number

/** Returns the `code` of the system's error if a process cannot listen on a port of this machine, e.g. `EADDRINUSE`. */
export function listenError(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'unknown'))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)))
  })
}
