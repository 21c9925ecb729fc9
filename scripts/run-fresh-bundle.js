import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle, bundleFolder } from './bundle.js'
import { requireNode } from './install.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs a bundle in this process, rebuilt if a source has changed: the same file that `npm start` and the tests run. */
export async function runFreshBundle(name) {
  requireNode()
  await bundle(root)
  const require = createRequire(import.meta.url)
  const runner = require.resolve('./run-bundle.cjs')
  process.argv.splice(1, 1, runner, join(bundleFolder(root), `${name}.cjs`))
  require(runner)
}
