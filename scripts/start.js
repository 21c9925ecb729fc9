import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installWhatIsMissing, requireNode } from './install.js'
import { alreadyRuns, suiteOwner } from './suite-owner.js'

requireNode()
const root = dirname(dirname(fileURLToPath(import.meta.url)))
await installWhatIsMissing(root)
// First of all, because new bundles would take the old ones away from a suite that runs.
const stateFolder = resolve(process.env.STATE_FOLDER || join(root, '.hallpass'))
const owner = process.argv.includes('--help') ? undefined : await suiteOwner(stateFolder)
const { bundle, bundleFolder } = await import('./bundle.js')
const launcher = join(bundleFolder(root), 'start.cjs')
const load = createRequire(import.meta.url)
if (owner) {
  // By the bundle that is there: that of the suite that runs.
  const mistake = existsSync(launcher) ? load(launcher).explainArguments?.(process.argv.slice(2)) : undefined
  if (mistake !== undefined) {
    console.error(mistake)
    process.exit(2)
  }
  console.error(alreadyRuns(stateFolder, owner.pid))
  // EX_TEMPFAIL (packages/service-kit/src/exit-codes.ts)
  process.exit(75)
}
try {
  await bundle(root)
} catch (error) {
  reportUnwritable(bundleFolder(root), error)
}
const { start } = load(launcher)
await start(root, process.argv.slice(2))

/** The folder, the cause and the remedy in one line, where the system does not let the bundles be written; any other error is a bug. */
function reportUnwritable(folder, error) {
  const causes = {
    EACCES: ['no permission', 'Give this user access to it (chown, chmod).'],
    EPERM: ['not permitted', 'Give this user access to it (chown, chmod).'],
    EROFS: ['the file system is read-only', 'Mount it writable.'],
    ENOSPC: ['no space left on the disk', 'Free some space.'],
    EDQUOT: ['the disk quota is used up', 'Free some space.'],
    ENOTDIR: ['a file exists where a folder is expected', 'Move it away.'],
    EEXIST: ['a file exists where a folder is expected', 'Move it away.'],
  }
  const code = error.code ?? /\b(E[A-Z]{3,10}):/.exec(error.message)?.[1]
  if (!(code in causes)) throw error
  const [cause, remedy] = causes[code]
  console.error(`${folder}: ${cause}; the bundles of the services cannot be written. ${remedy}`)
  // EX_IOERR, as for every other file of the state (packages/service-kit/src/exit-codes.ts).
  process.exit(74)
}
