import { execFile } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

export interface CliResult {
  readonly exitCode: number
  readonly out: string
  readonly err: string
}

/** Runs the installed `hallpass`: npm's link to the bundle. */
export function hallpass(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliResult> {
  return new Promise((done) => {
    execFile(
      join(root, 'node_modules/.bin/hallpass'),
      args,
      { cwd: root, env: { ...process.env, ...env } },
      (error, out, err) =>
        done({ exitCode: error ? Number(error.code) : 0, out: out.trim(), err: err.trim() }),
    )
  })
}
