import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CommandFailure } from './failure.ts'
import type { Terminal } from './terminal/index.ts'

/** Returns the folder of keys and certificates: `STATE_FOLDER`, or `.hallpass` of this repository. */
export function stateFolder({ env }: Terminal): string {
  return env.STATE_FOLDER || join(import.meta.dirname, '../../.hallpass')
}

/**
 * Returns the state folder for commands that create missing keys. A folder set with `STATE_FOLDER` must exist: keys in a
 * folder with a mistyped name would sign tokens that every service rejects.
 * @throws {CommandFailure} if it does not exist
 */
export function stateFolderForKeys(terminal: Terminal): string {
  const folder = stateFolder(terminal)
  if (terminal.env.STATE_FOLDER && !existsSync(folder))
    throw new CommandFailure(`STATE_FOLDER ${folder} does not exist.`, undefined, [
      'Set it to the state folder of the running suite, or unset it.',
    ])
  return folder
}
