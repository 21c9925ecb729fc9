import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** A process that holds the write lock of an lmdb store. */
export interface LockHoldingProcess {
  readonly pid: number
  /** Continues a stopped process, which then releases the lock. */
  release(): void
  /** Kills the process, which releases the lock, too. */
  kill(): Promise<void>
}

/** Starts a process that is stopped (SIGSTOP) within a write transaction, or, with `sleep`, takes a minute for it. */
export async function holdWriteLock(
  folder: string,
  how: 'stopped' | 'sleep' = 'stopped',
): Promise<LockHoldingProcess> {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, 'run-holder.ts'), folder, how],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return {
    pid: child.pid as number,
    release: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
