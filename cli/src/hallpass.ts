import { CommanderError } from 'commander'
import { CommandFailure, EXIT } from './failure.ts'
import { createProgram } from './program.ts'
import { systemTerminal, type Terminal } from './terminal.ts'

/** Runs a command line and resolves with its exit code. */
export async function main(args: readonly string[], terminal: Terminal = systemTerminal()): Promise<number> {
  try {
    await createProgram(terminal).parseAsync([...args], { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (error instanceof CommandFailure) {
      if (error.message !== '') terminal.note(`hallpass: ${error.message}`)
      return error.exitCode
    }
    terminal.note(`hallpass: ${(error as Error).stack ?? String(error)}`)
    return EXIT.failed
  }
}
