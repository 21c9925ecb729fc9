import { readdir, readFile, readlink } from 'node:fs/promises'
import { listenError } from '@hallpass/free-ports'
import type { SuiteProcess } from './suite-builder.ts'

/** A port on which a service cannot listen. */
interface TakenPort {
  readonly service: string
  readonly port: number
  /** The `code` of the system's error. */
  readonly code: string
}

/** Required ports are not available. The message has a line for each and a fix. */
export class PortsTaken extends Error {
  constructor(lines: readonly string[]) {
    const users = lines.length === 1 ? 'process that uses it' : 'processes that use them'
    super(`${lines.join('\n')}\nStop the ${users}, or start on free ports: npm start -- --free-ports`)
    this.name = 'PortsTaken'
  }
}

/**
 * Checks every port before any service starts, so that all problems are reported together.
 * @throws {PortsTaken}
 */
export async function requireFreePorts(processes: readonly SuiteProcess[]): Promise<void> {
  const wanted = processes.flatMap(({ name, urls }) =>
    Object.values(urls).map((url) => ({ service: name, port: Number(new URL(url).port) })),
  )
  const tried = await Promise.all(wanted.map(async (one) => ({ ...one, code: await listenError(one.port) })))
  const taken = tried.filter((one): one is TakenPort => one.code !== undefined)
  if (taken.length === 0) return
  const holders = await holdersOf(taken.map(({ port }) => port))
  throw new PortsTaken(taken.map((one) => describe(one, holders.get(one.port))))
}

function describe({ service, port, code }: TakenPort, holder: string | undefined): string {
  if (code === 'EACCES') return `port ${port} of ${service} requires more privileges than this process has`
  if (code !== 'EADDRINUSE') return `port ${port} of ${service} cannot be listened on (${code})`
  return `port ${port} of ${service} is in use by ${holder ?? `another process (find it with lsof -i :${port})`}`
}

/** The state of a listening socket in /proc/net/tcp. */
const LISTENS = '0A'

/**
 * Returns the processes that listen on these ports, e.g. `node (pid 7)`. Finds only processes that the user is allowed to
 * inspect, and only on Linux.
 */
async function holdersOf(ports: readonly number[]): Promise<ReadonlyMap<number, string>> {
  const portOfInode = new Map<string, number>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6'])
    for (const line of (await readFile(table, 'utf8').catch(() => '')).split('\n')) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
      const port = Number.parseInt(local.split(':')[1] ?? '', 16)
      if (state === LISTENS && inode !== undefined && ports.includes(port)) portOfInode.set(inode, port)
    }
  const holders = new Map<number, string>()
  if (portOfInode.size === 0) return holders
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)))
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
      const port = portOfInode.get(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '')
      if (port !== undefined && !holders.has(port)) {
        const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
        holders.set(port, `${name || 'a process'} (pid ${pid})`)
      }
    }
  return holders
}
