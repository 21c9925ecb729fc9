import { createRequire } from 'node:module'
import { join } from 'node:path'
import { ConfigError } from '@hallpass/service-kit'

// In a bundle, this is the folder of the bundles, from which Node finds the node_modules of the checkout.
const require = createRequire(join(import.meta.dirname, 'optional-module.js'))

/**
 * Loads a package that `npm ci` does not install, because few need it.
 * @param setting the configuration that needs it, e.g. `SIGNER=pkcs11`
 * @throws {ConfigError} with the command that installs it.
 */
export function loadOptional<T>(name: string, setting: string): T {
  try {
    return require(name) as T
  } catch (cause) {
    const isAbsent = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' && !isInstalled(name)
    throw new ConfigError([
      isAbsent
        ? `${setting} needs the package ${name}. Install it: npm install ${name}`
        : `${setting} needs the package ${name}, which does not load. Build it for this Node: npm rebuild ${name}`,
    ])
  }
}

/** A native package can be there without the library that its compiler would have made. */
function isInstalled(name: string): boolean {
  try {
    require.resolve(`${name}/package.json`)
    return true
  } catch {
    return false
  }
}
