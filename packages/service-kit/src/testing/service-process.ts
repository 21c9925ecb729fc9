import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Environment } from '../process/config.ts'

/** A service in a process of its own. */
export interface RunningService {
  readonly url: string
  readonly process: ChildProcess
  /** Kills it without a chance to clean up. */
  kill(): Promise<void>
  /** Stops it as an operator does. */
  stop(): Promise<void>
}

/**
 * Runs a service.
 * @param program the arguments of Node, or the path of the service's `main.ts` for its sources.
 * @throws {Error} with what it wrote to standard error, if it does not start.
 */
export async function startServiceProcess(
  program: string | readonly string[],
  env: Environment,
): Promise<RunningService> {
  const args = typeof program === 'string' ? ['--import', 'tsx', program] : program
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, LOG_LEVEL: 'silent', DRAIN_DELAY_MS: '0', ...env },
  })
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const ended = once(child, 'close')
  const url = await Promise.race([
    once(child, 'message').then(([message]) => (message as { ready: { http: string } }).ready.http),
    ended.then(() => {
      throw new Error(errors)
    }),
  ])
  const end = (signal: NodeJS.Signals) => async () => {
    child.kill(signal)
    await ended
  }
  return { url, process: child, kill: end('SIGKILL'), stop: end('SIGTERM') }
}
