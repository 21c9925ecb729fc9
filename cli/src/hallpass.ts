import { StateFileError } from '@hallpass/private-files'
import { CommanderError } from 'commander'
import { CommandFailure, EXIT } from './failure.ts'
import { createProgram } from './program.ts'
import { systemTerminal, type Terminal } from './terminal/index.ts'

/** Runs a command line and resolves with its exit code. */
export async function main(args: readonly string[], terminal: Terminal = systemTerminal()): Promise<number> {
  try {
    await createProgram(terminal).parseAsync([...args], { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (error instanceof CommandFailure) {
      if (error.message !== '') terminal.note(`hallpass: ${error.message}`)
      for (const line of error.more) terminal.note(`  ${line}`)
      return error.exitCode
    }
    // A stack does not help for a bad state file or a system error (EACCES, ENOSPC, …).
    if (error instanceof StateFileError || isSystemError(error)) terminal.note(`hallpass: ${error.message}`)
    else for (const line of stackOf(error).split('\n')) terminal.note(line)
    return EXIT.failed
  }
}

const isSystemError = (error: unknown): error is Error =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'

const stackOf = (error: unknown) => `hallpass: ${(error as Error).stack ?? String(error)}`
