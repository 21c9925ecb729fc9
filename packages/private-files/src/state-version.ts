import { join } from 'node:path'
import { readIfThere, writePublicFile } from './private-files.ts'
import { parseStateFile, StateFileError } from './state-file-error.ts'

/**
 * The version of the state folder's layout, incremented when a release cannot use the files of the previous one. A folder
 * has no version file if it was created before version files existed, or by a service that was started without the suite.
 */
export const STATE_VERSION = 1

const versionFile = (stateFolder: string) => join(stateFolder, 'version')

/**
 * Returns the version of the state folder, or undefined if it has none.
 * @throws {StateFileError} if another release created the folder, with the ways to keep or delete the state.
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

/** Like {@link checkStateVersion}; also writes this release's version if the folder has none. */
export async function claimStateVersion(stateFolder: string): Promise<void> {
  if ((await checkStateVersion(stateFolder)) === undefined)
    await writePublicFile(versionFile(stateFolder), `${STATE_VERSION}\n`)
}

function readNumber(text: string): number {
  if (!/^\d{1,9}\s*$/.test(text)) throw new Error('not a number')
  return Number(text)
}
