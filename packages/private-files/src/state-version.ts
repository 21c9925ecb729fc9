import { join } from 'node:path'
import { readIfThere, writePublicFile } from './private-files.ts'
import { parseStateFile, StateFileError } from './state-file-error.ts'

/**
 * The layout of the state folder. It goes up by one when a release can no longer use the files of the one before; a
 * folder without a version file was made before there were any, or by a service that was started by itself.
 */
export const STATE_VERSION = 1

const versionFile = (stateFolder: string) => join(stateFolder, 'version')

/**
 * Refuses a state folder that another release has made.
 * @throws {StateFileError} saying which release is older, and how to keep or delete the state.
 */
export async function checkStateVersion(stateFolder: string): Promise<number | undefined> {
  const file = versionFile(stateFolder)
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  const version = parseStateFile(
    file,
    text,
    'a version number',
    readNumber,
    `Restore it (this release writes ${STATE_VERSION}), or delete the state: npm run clean`,
  )
  if (version === STATE_VERSION) return version
  const [age, keep] =
    version > STATE_VERSION
      ? ['a newer', 'Start that release, or']
      : ['an older', 'To keep the state for that release,']
  throw new StateFileError(
    stateFolder,
    `made by ${age} release (state version ${version}, this release uses ${STATE_VERSION})`,
    `${keep} set STATE_FOLDER to another folder. To delete the state: npm run clean`,
  )
}

/** The same, and marks a folder that has no version yet as this release's. */
export async function claimStateVersion(stateFolder: string): Promise<void> {
  if ((await checkStateVersion(stateFolder)) === undefined)
    await writePublicFile(versionFile(stateFolder), `${STATE_VERSION}\n`)
}

function readNumber(text: string): number {
  if (!/^\d{1,9}\s*$/.test(text)) throw new Error('no number')
  return Number(text)
}
