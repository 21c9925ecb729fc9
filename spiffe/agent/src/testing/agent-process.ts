import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const root = resolve(import.meta.dirname, '../../../..')

export const AGENT_BUNDLE = join(root, '.hallpass/bundles/spiffe-agent.cjs')

/** Makes the files that `npm start` runs; half a second. */
export async function bundleServices(): Promise<void> {
  const script = "import('./scripts/bundle.js').then(({ bundle }) => bundle(process.cwd()))"
  await promisify(execFile)(process.execPath, ['-e', script], { cwd: root })
}

/** Starts the agent as a process of its own, as `npm start` does, and resolves when it is ready. */
export async function startAgentProcess(env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [AGENT_BUNDLE], {
    env: { PATH: process.env.PATH, LOG_LEVEL: 'silent', PORT: '0', BUNDLE_ENDPOINT_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await new Promise<void>((ready, failed) => {
    child.once('message', () => ready())
    child.once('exit', (code) => failed(new Error(`the agent ended with ${code}`)))
  })
  return child
}
