import { type ChildProcess, spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import net from 'node:net'

const START_TIMEOUT_MS = 10_000

/** Starts a server whose errors are shown. */
export function start(command: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Resolves when a process listens on a port of this machine. */
export async function listening(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline && child.exitCode === null && child.pid !== undefined) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, 'localhost')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${child.spawnfile} does not listen on port ${port}.`)
}

/** Ends processes and removes their folder. */
export async function stop(folder: string, ...children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    const deadline = setTimeout(() => child.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(deadline)
  }
  await rm(folder, { recursive: true, force: true })
}
