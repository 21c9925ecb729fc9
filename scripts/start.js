import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installWhatIsMissing, requireNode } from './install.js'
import { alreadyRuns, suiteOwner } from './suite-owner.js'

requireNode()
const root = dirname(dirname(fileURLToPath(import.meta.url)))
await installWhatIsMissing(root)
// Checked first, because new bundles would replace those of a running suite.
const stateFolder = resolve(process.env.STATE_FOLDER || join(root, '.hallpass'))
const owner = process.argv.includes('--help') ? undefined : await suiteOwner(stateFolder)
const { bundle, bundleFolder } = await import('./bundle.js')
const launcher = join(bundleFolder(root), 'start.cjs')
const load = createRequire(import.meta.url)
if (owner) {
  // With the existing bundle, that of the running suite.
  const mistake = existsSync(launcher) ? load(launcher).explainArguments?.(process.argv.slice(2)) : undefined
  if (mistake !== undefined) {
    console.error(mistake)
    process.exit(2)
  }
  console.error(alreadyRuns(stateFolder, owner.pid))
  // EX_TEMPFAIL (packages/service-kit/src/process/exit-codes.ts)
  process.exit(75)
}
try {
  await bundle(root)
} catch (error) {
  reportUnwritable(bundleFolder(root), error)
}
const { start } = load(launcher)
await start(root, process.argv.slice(2))

/** Reports in one line why the bundles cannot be written, with a fix. Any other error is a bug. */
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
  console.error(`${folder}: cannot write the bundles of the services, ${cause}. ${remedy}`)
  // EX_IOERR, as for all other state files (packages/service-kit/src/process/exit-codes.ts).
  process.exit(74)
}
