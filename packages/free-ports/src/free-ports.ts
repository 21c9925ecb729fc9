import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the ephemeral ports (Linux from 32768, others from 49152), so that no other process is assigned one of these before
 * the service listens on it, and above well-known ports.
 */
const FIRST = 20_000
/** More than one `npm start` needs, and few enough that 120 processes can have a block each. */
const BLOCK_PORTS = 100
const BLOCKS = 120

/** The unused ports of the block that this process has claimed last. */
let block: Iterator<number> | undefined
/** Calls follow each other, so that one block is claimed at a time. */
let last: Promise<unknown> = Promise.resolve()

/**
 * Returns unused ports, none of which this process has returned before. Nor does any other process get them from this
 * function while this one runs: a port that is only unused could be chosen by two processes before either listens on it.
 * @throws {Error} if 120 processes have claimed all ports
 */
export function freePorts(count: number): Promise<number[]> {
  const ports = last.then(async () => {
    const free: number[] = []
    while (free.length < count) free.push(await nextPort())
    return free
  })
  last = ports.catch(() => {})
  return ports
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

async function nextPort(): Promise<number> {
  for (;;) {
    const port: number | undefined = block?.next().value
    if (port === undefined) block = await claimBlock()
    else if ((await listenError(port)) === undefined) return port
  }
}

/** Claims a block by listening on its first port until the process ends, however it ends. */
async function claimBlock(): Promise<Iterator<number>> {
  const start = randomInt(BLOCKS)
  for (let i = 0; i < BLOCKS; i += 1) {
    const first = FIRST + BLOCK_PORTS * ((start + i) % BLOCKS)
    if (await holds(first)) return Array.from({ length: BLOCK_PORTS - 1 }, (_, n) => first + 1 + n).values()
  }
  throw new Error(
    `All ports from ${FIRST} to ${FIRST + BLOCK_PORTS * BLOCKS - 1} are claimed by other processes. Stop some of them.`,
  )
}

function holds(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    // It answers nobody, and does not keep the process alive.
    const server = createServer((socket) => socket.destroy()).unref()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true))
  })
}
