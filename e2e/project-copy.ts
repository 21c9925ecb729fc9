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

/** A folder name with special characters of shells, URLs and regular expressions, and a two-byte letter. */
const AWKWARD = 'my projäct #1 (100%)?'

/**
 * Copies the project with its installed packages, but without generated files, into a new folder with an awkward name, like
 * a fresh clone. The test must remove the folder above it.
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

/** Hard-links a file, or copies it to another file system: 18,000 files of 250 MB take half a second. */
function share(source: string, target: string) {
  mkdirSync(dirname(target), { recursive: true })
  try {
    linkSync(source, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EXDEV') copyFileSync(source, target)
    // A file that was deleted but not committed yet.
    else if (code !== 'ENOENT') throw error
  }
}
