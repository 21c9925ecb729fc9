import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const root = resolve(import.meta.dirname, '../../../..')

export const AGENT_BUNDLE = join(root, '.hallpass/bundles/spiffe-agent.cjs')

/** Builds the bundles that `npm start` runs; takes half a second. */
export async function bundleServices(): Promise<void> {
  const script = "import('./scripts/bundle.js').then(({ bundle }) => bundle(process.cwd()))"
  await promisify(execFile)(process.execPath, ['-e', script], { cwd: root })
}

/** Starts the agent as a separate process, like `npm start`, and resolves when it is ready. */
export async function startAgentProcess(env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [AGENT_BUNDLE], {
    env: { PATH: process.env.PATH, LOG_LEVEL: 'silent', PORT: '0', BUNDLE_ENDPOINT_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await new Promise<void>((ready, failed) => {
    child.once('message', () => ready())
    child.once('exit', (code) => failed(new Error(`the agent exited with ${code}`)))
  })
  return child
}
