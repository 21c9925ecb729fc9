import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Environment } from '@hallpass/service-kit'

/** A factory in a process of its own. */
export interface FactoryProcess {
  readonly url: string
  readonly process: ChildProcess
  /** Kills it without a chance to clean up. */
  kill(): Promise<void>
  /** Stops it as an operator does. */
  stop(): Promise<void>
}

/** The sources, as a program. */
const SOURCES = ['--import', 'tsx', join(import.meta.dirname, '../main.ts')]

/**
 * Starts a factory as a process; with ES256, because such keys are generated quickly.
 * @param program the arguments of Node.
 * @throws {Error} with what it wrote to standard error, if it does not start.
 */
export async function startFactoryProcess(
  env: Environment,
  program: readonly string[] = SOURCES,
): Promise<FactoryProcess> {
  const child = spawn(process.execPath, program, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, PORT: '0', ALGORITHM: 'ES256', LOG_LEVEL: 'silent', DRAIN_DELAY_MS: '0', ...env },
  })
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const ended = once(child, 'exit')
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

/** Sends a request; resolves with the body as text, or undefined if the factory was killed meanwhile. */
export async function call(
  url: string,
  method: 'GET' | 'POST',
  body?: object,
): Promise<{ readonly status: number; readonly text: string } | undefined> {
  try {
    const response = await fetch(url, {
      method,
      ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, text: await response.text() }
  } catch {
    return undefined
  }
}
