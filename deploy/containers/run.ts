import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Starts the service that the first argument names, e.g. `token-cache/proxy`. */
const [name = '', ...rest] = process.argv.slice(2)
const file = join(import.meta.dirname, `${name.replaceAll('/', '-')}.cjs`)
if (!/^[a-z][a-z/-]*$/.test(name) || !existsSync(file)) {
  console.error(`There is no service ${JSON.stringify(name)} in this image.`)
  process.exit(2)
}
process.argv.splice(2, process.argv.length, ...rest)
// Secrets that were made at the first start come in a file of a volume; what is set stays as it is.
if (process.env.ENV_FILE) process.loadEnvFile(process.env.ENV_FILE)
// Not a string that a bundler could follow: the service is a bundle of its own.
process.getBuiltinModule('node:module').createRequire(import.meta.filename)(file)
