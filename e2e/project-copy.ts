import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { projectFiles } from '../scripts/project-files.ts'

/** What a shell, a URL and a regular expression each take for something else, and a letter of two bytes. */
const AWKWARD = 'my projäct #1 (100%)?'

/**
 * Copies the project as it stands, with what is installed and without what it has made, into a new folder that has an awkward
 * name and no bundles yet: where a person has cloned it. The folder above it is the test's to remove.
 */
export function copyProject(root: string): string {
  const copy = join(mkdtempSync(join(tmpdir(), 'hallpass-')), AWKWARD)
  for (const file of projectFiles(root)) share(join(root, file), join(copy, file))
  for (const workspace of ['.', 'packages/pages', 'web-ui'])
    shareFolder(join(root, workspace, 'node_modules'), join(copy, workspace, 'node_modules'))
  return copy
}

function shareFolder(from: string, to: string) {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) shareFolder(source, target)
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else share(source, target)
  }
}

/** By a hard link: 18,000 files of 250 MB are there in half a second. Another file system gets a copy. */
function share(source: string, target: string) {
  mkdirSync(dirname(target), { recursive: true })
  try {
    linkSync(source, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EXDEV') copyFileSync(source, target)
    // A file that was deleted and not committed yet.
    else if (code !== 'ENOENT') throw error
  }
}
