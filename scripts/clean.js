import { existsSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suiteOwner } from './suite-owner.js'

const HELP = `npm run clean: delete what the suite has created in its state folder: keys, certificates, databases, bundles

  npm run clean                       clean .hallpass/, or STATE_FOLDER
  STATE_FOLDER=… npm run clean        clean another folder
  npm run clean -- --help             print this help

The next npm start creates everything again. Tokens signed with the old keys are then rejected, and programs that trusted
the old development CA must trust the new one. Files that the suite did not create are kept.
Fails while a suite is running there. Exit codes: 0 done, 1 failed, 2 unknown option, 75 a suite is running there.`

/** The suite's own files. Nothing else is deleted, in case STATE_FOLDER is mistyped. */
const OURS = [
  'bundles',
  'certificates',
  'identity-provider',
  'issuer',
  'key-encryption.key',
  'keys',
  'scenario-3-keys',
  'spiffe',
  'sse',
  'suite.sock',
  'token-cache',
  'version',
  'web-ui',
  '.lock',
]

const args = process.argv.slice(2)
if (args.includes('--help') || args.includes('-h')) {
  console.log(HELP)
  process.exit(0)
}
if (args.length > 0) {
  console.error(`Unknown option '${args[0]}'.\n\n${HELP}`)
  process.exit(2)
}
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = resolve(process.env.STATE_FOLDER || join(root, '.hallpass'))
if (!existsSync(folder)) {
  console.log(`${folder} does not exist: nothing to delete.`)
  process.exit(0)
}
const owner = await suiteOwner(folder)
if (owner) {
  console.error(
    `A suite is running in ${folder}${owner.pid === undefined ? '' : ` (pid ${owner.pid})`}. Stop it with Ctrl-C in its terminal, then run this again.`,
  )
  process.exit(75)
}
try {
  clean()
} catch (error) {
  console.error(
    `${error.path ?? folder}: cannot be deleted (${error.code ?? error.message}). Give this user access to it.`,
  )
  process.exit(1)
}

function clean() {
  const entries = readdirSync(folder)
  const ours = entries.filter((name) => OURS.includes(name))
  for (const name of ours) {
    const path = join(folder, name)
    const files = statSync(path).isDirectory() ? countFiles(path) : undefined
    rmSync(path, { recursive: true, force: true })
    console.log(
      `deleted ${path}${files === undefined ? '' : ` (${files} ${files === 1 ? 'file' : 'files'})`}`,
    )
  }
  const others = entries.filter((name) => !OURS.includes(name))
  if (others.length === 0) {
    rmdirSync(folder)
    console.log(`deleted ${folder}`)
  } else console.log(`kept ${others.map((name) => join(folder, name)).join(', ')}: not created by the suite`)
}

function countFiles(path) {
  return readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory())
    .length
}
