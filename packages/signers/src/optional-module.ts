import { createRequire } from 'node:module'
import { join } from 'node:path'

/** Reports a package that only some configurations need, and that is not installed. */
export class MissingModuleError extends Error {
  override readonly name = 'MissingModuleError'
}

/**
 * Loads a package that `npm ci` does not install, because few need it.
 * @param setting the configuration that needs it, e.g. `SIGNER=pkcs11`
 * @throws {MissingModuleError} with the command that installs it.
 */
export function loadOptional<T>(name: string, setting: string): T {
  // In a bundle, this is the folder of the bundles, from which Node finds the node_modules of the checkout.
  const require = createRequire(join(import.meta.dirname, 'optional-module.js'))
  try {
    return require(name) as T
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
    throw new MissingModuleError(
      absent
        ? `${setting} needs the package ${name}. Install it: npm install ${name}`
        : `${setting} needs the package ${name}, which does not load. Build it for this Node: npm rebuild ${name}`,
      { cause },
    )
  }
}
