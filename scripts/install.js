import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'

const MINIMUM_NODE = [20, 19]

/** Exits with a message if Node is too old for the suite. */
export function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return
  console.error(
    `Hallpass requires Node ${MINIMUM_NODE.join('.')} or later. This is Node ${process.versions.node}.`,
  )
  process.exit(1)
}

/** Runs `npm ci` if nothing is installed yet, or if the lock file is newer. */
export async function installWhatIsMissing(root) {
  const installed = join(root, 'node_modules/.package-lock.json')
  const lock = join(root, 'package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs - 1000) return
  const done = showProgress('installing packages (npm ci), may take a minute')
  const npm = spawn('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  })
  let output = ''
  for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (chunk) => (output += chunk))
  const code = await new Promise((resolve) => npm.on('close', resolve))
  done(code === 0 ? 'packages installed' : 'npm ci failed')
  if (code === 0) return
  console.error(output)
  process.exit(1)
}

/** Prints a line with a running counter of seconds; only the text if stderr is not a terminal or others write to it. */
export function showProgress(text, { live = true } = {}) {
  const started = Date.now()
  const seconds = () => ((Date.now() - started) / 1000).toFixed(1)
  if (!live || !process.stderr.isTTY) {
    process.stderr.write(`${text} …\n`)
    return (end) => process.stderr.write(`${end} (${seconds()} s)\n`)
  }
  const timer = setInterval(() => process.stderr.write(`\r\x1b[2K${text} … ${seconds()} s`), 100)
  return (end) => {
    clearInterval(timer)
    process.stderr.write(`\r\x1b[2K${end} (${seconds()} s)\n`)
  }
}
