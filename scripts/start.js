import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installWhatIsMissing, requireNode } from './install.js'

requireNode()
const root = dirname(dirname(fileURLToPath(import.meta.url)))
await installWhatIsMissing(root)
const { bundle, bundleFolder } = await import('./bundle.js')
await bundle(root)
const { start } = createRequire(import.meta.url)(join(bundleFolder(root), 'start.cjs'))
await start(root, process.argv.slice(2))
