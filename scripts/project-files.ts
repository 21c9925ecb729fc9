import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Folders that are not part of the project: installed or generated. */
const NOT_OURS = new Set(['node_modules', '.git', '.hallpass', 'artifacts', 'coverage'])

/** Returns the paths of the project's files, relative to its root. Works without git, in an unpacked archive too. */
export function projectFiles(root: string, folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? projectFiles(root, path) : [path]
  })
}
