import { createRequire, register } from 'node:module'
import { pathToFileURL } from 'node:url'
import circus from 'jest-circus/runner'
import { sourceMap } from './jest-modules.js'
import { useKeptRsaKeys } from './jest-rsa-keys.js'

const require = createRequire(import.meta.url)
register('./jest-modules.js', import.meta.url)

const sourceMaps = new Map()
let files = 0

/**
 * Jest's own runner of a test file, with the modules of Node itself in place of Jest's. Jest would load Express, undici
 * and the rest anew into a context of each test file, which costs more than most of the files' tests. Here packages are
 * loaded once in a process; our own modules still anew for each file (see jest-modules.js), so that no file finds state
 * that another one left in them.
 */
export default function runFile(globalConfig, config, environment, runtime, path, sendMessageToJest) {
  const generation = ++files
  const before = { console: globalThis.console, env: { ...process.env } }
  globalThis.console = environment.global.console
  useKeptRsaKeys(path)

  delete globalThis[Symbol.for('EVENT_HANDLERS')]
  runtime.requireInternalModule = requireAnew
  runtime.setGlobalsForRuntime = (globals) => {
    globalThis[Symbol.for('jest.globals')] = globals
  }
  runtime.unstable_shouldLoadAsEsm = () => true
  runtime.unstable_importModule = (file) => import(`${pathToFileURL(file)}?${generation}`)
  runtime.getSourceMaps().get = (url) => {
    if (!sourceMaps.has(url)) sourceMaps.set(url, sourceMap(url))
    return sourceMaps.get(url)
  }
  // Not `async`: a frame of its own would be shown as the place where a test timed out.
  return circus.default(globalConfig, config, environment, runtime, path, sendMessageToJest).finally(() => {
    globalThis.console = before.console
    for (const name of Object.keys(process.env)) if (!(name in before.env)) delete process.env[name]
    Object.assign(process.env, before.env)
  })
}

/** Circus keeps the tests of a file, and what listens to them, in its modules. */
function requireAnew(path) {
  delete require.cache[path]
  return require(path)
}
