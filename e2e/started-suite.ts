import { type ChildProcess, spawn } from 'node:child_process'
import { dirname } from 'node:path'

const root = dirname(import.meta.dirname)

/** A running `npm start` with its own state folder. */
export interface StartedSuite {
  readonly launcher: ChildProcess
  /** Returns everything printed so far to stdout and stderr. */
  output(): string
  /** Resolves when the output matches. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves with its exit code. */
  readonly ended: Promise<number | null>
  isAlive(): boolean
}

export function startSuite(
  stateFolder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): StartedSuite {
  const launcher = spawn(process.execPath, ['scripts/start.js', ...args], {
    cwd: root,
    // A process group leader, as in a terminal.
    detached: true,
    env: { ...process.env, ...env, STATE_FOLDER: stateFolder },
  })
  let output = ''
  for (const stream of [launcher.stdout, launcher.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  const ended = new Promise<number | null>((resolve) => launcher.on('close', resolve))
  return {
    launcher,
    ended,
    output: () => output,
    async until(pattern) {
      for (;;) {
        const match = pattern.exec(output)
        if (match) return match
        if (launcher.exitCode !== null)
          throw new Error(`npm start ended with ${launcher.exitCode}:\n${output}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    /** Returns whether any process of its group is left. */
    isAlive() {
      try {
        process.kill(-(launcher.pid as number), 0)
        return true
      } catch {
        return false
      }
    },
  }
}
