import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installWhatIsMissing, requireNode } from './install.js'

requireNode()
const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Modules that benchmarks share. Every other module exports `run(root)`. */
const SHARED = ['load', 'table']
const names = readdirSync(join(root, 'benchmarks'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace('.ts', ''))
  .filter((name) => !SHARED.includes(name))

const HELP = `npm run bench                    every benchmark
npm run bench -- NAME [NAME …]   some: ${names.join(', ')}`

const wanted = process.argv.slice(2)
if (wanted.includes('--help')) {
  console.log(HELP)
  process.exit(0)
}
const unknown = wanted.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  console.error(`Benchmark not found: ${unknown.join(', ')}.\n\n${HELP}`)
  process.exit(2)
}
await installWhatIsMissing(root)
const { bundle, bundleFolder } = await import('./bundle.js')

const chosen = wanted.length > 0 ? wanted : names
await bundle(
  root,
  Object.fromEntries(chosen.map((name) => [`bench-${name}`, join(root, 'benchmarks', `${name}.ts`)])),
)
const require = createRequire(import.meta.url)
for (const name of chosen) {
  console.log(`\n## ${name}\n`)
  await require(join(bundleFolder(root), `bench-${name}.cjs`)).run(root)
}
