import { join } from 'node:path'
import type { Environment } from '@hallpass/service-kit'
import { type RunningService, startServiceProcess } from '@hallpass/service-kit/testing'

/** A factory in a process of its own. */
export type FactoryProcess = RunningService

/** The sources, as a program. */
const SOURCES = join(import.meta.dirname, '../main.ts')

/**
 * Starts a factory as a process; with ES256, because such keys are generated quickly.
 * @param program the arguments of Node, or a `main.ts`.
 * @throws {Error} with what it wrote to standard error, if it does not start.
 */
export const startFactoryProcess = (
  env: Environment,
  program: string | readonly string[] = SOURCES,
): Promise<FactoryProcess> => startServiceProcess(program, { PORT: '0', ALGORITHM: 'ES256', ...env })

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
