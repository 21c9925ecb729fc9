import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Starts the service named by the first argument, e.g. `token-cache/proxy`. */
const [name = '', ...rest] = process.argv.slice(2)
const file = join(import.meta.dirname, `${name.replaceAll('/', '-')}.cjs`)
if (!/^[a-z][a-z/-]*$/.test(name) || !existsSync(file)) {
  console.error(`This image has no service ${JSON.stringify(name)}.`)
  process.exit(2)
}
process.argv.splice(2, process.argv.length, ...rest)
// Secrets made at the first start are in a file on a volume; variables that are set already take precedence.
if (process.env.ENV_FILE) process.loadEnvFile(process.env.ENV_FILE)
// Computed, so that the bundler does not include the service: it is a bundle of its own.
process.getBuiltinModule('node:module').createRequire(import.meta.filename)(file)
