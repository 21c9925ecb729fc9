import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** The version of the reference implementation. */
const GO_SPIFFE = 'v2.8.1'

export const hasGo = (): boolean => spawnSync('go', ['version']).status === 0

/**
 * Builds the program in peers/go in a temporary module, with the configured Go module proxy, and returns the path of its
 * binary.
 *
 * @param folder the folder of the sources
 */
export function buildGoPeer(folder: string): string {
  const module = mkdtempSync(join(tmpdir(), 'go-peer-'))
  copyFileSync(join(folder, 'main.go'), join(module, 'main.go'))
  writeFileSync(
    join(module, 'go.mod'),
    `module peer\n\ngo 1.24.0\n\nrequire github.com/spiffe/go-spiffe/v2 ${GO_SPIFFE}\n`,
  )
  const run = (...args: string[]) =>
    execFileSync('go', args, { cwd: module, stdio: ['ignore', 'ignore', 'pipe'] })
  run('mod', 'tidy')
  run('build', '-o', 'peer', '.')
  return join(module, 'peer')
}

export interface GoPeer {
  readonly process: ChildProcess
  /** Returns the next line of its standard output. */
  line(): Promise<string>
  /** Waits until it exits and returns its output. @throws with its standard error if it fails */
  done(): Promise<string>
}

export function startGoPeer(binary: string, args: readonly string[], address: string, input = ''): GoPeer {
  const child = spawn(binary, args, {
    env: { SPIFFE_ENDPOINT_SOCKET: address },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => {}).end(input)
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => lines.push(line))
  const closed = once(child, 'close')
  return {
    process: child,
    async line() {
      if (lines.length === 0) await Promise.race([once(reader, 'line'), closed])
      const line = lines.shift()
      if (line === undefined) throw new Error(`the Go peer ended: ${errors}`)
      return line
    },
    async done() {
      const [code] = await closed
      if (code !== 0) throw new Error(`the Go peer failed: ${errors}`)
      return lines.splice(0).join('\n')
    },
  }
}
