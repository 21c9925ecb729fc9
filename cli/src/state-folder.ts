import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CommandFailure } from './failure.ts'
import type { Terminal } from './terminal.ts'

/** Where the suite keeps keys and certificates: `STATE_FOLDER`, or `.hallpass` of this repository, from wherever one calls. */
export function stateFolder({ env }: Terminal): string {
  return env.STATE_FOLDER || join(import.meta.dirname, '../../.hallpass')
}

/**
 * The same for what would make a key there: the repository's own folder may be made, one that was named must exist.
 * A key in a folder with a mistyped name would sign tokens that nobody takes.
 * @throws {CommandFailure}
 */
export function stateFolderForKeys(terminal: Terminal): string {
  const folder = stateFolder(terminal)
  if (terminal.env.STATE_FOLDER && !existsSync(folder))
    throw new CommandFailure(`STATE_FOLDER ${folder} does not exist, so there is no key in it.`, undefined, [
      'Name the folder of the suite that runs, or leave STATE_FOLDER out.',
    ])
  return folder
}
