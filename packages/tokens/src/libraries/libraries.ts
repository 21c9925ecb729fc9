import type { SignatureAlgorithm } from '../keys/index.ts'
import { jose } from './jose.ts'
import { jsonwebtoken } from './jsonwebtoken.ts'
import type { LibraryName, TokenLibrary } from './library.ts'
import { nodeCrypto } from './node-crypto.ts'
import { nodeJose } from './node-jose.ts'

/** All adapters by name, the default first. A library is loaded when its adapter is first used. */
export const libraries: Readonly<Record<LibraryName, TokenLibrary>> = {
  'node-crypto': nodeCrypto,
  jsonwebtoken,
  jose,
  'node-jose': nodeJose,
}

/**
 * Returns the library with this name. Checks that it supports the algorithms, so that a misconfigured service fails at
 * startup and not when it signs.
 * @throws {TypeError} listing the possible libraries.
 */
export function libraryNamed(name: string, algorithms: readonly SignatureAlgorithm[] = []): TokenLibrary {
  if (!Object.hasOwn(libraries, name))
    throw new TypeError(
      `Unknown token library ${name}; expected one of ${Object.keys(libraries).join(', ')}.`,
    )
  const library = libraries[name as LibraryName]
  for (const alg of algorithms) assertSpeaks(library, alg)
  return library
}

/** @throws {TypeError} if the library does not support the algorithm. */
export function assertSpeaks(library: TokenLibrary, alg: SignatureAlgorithm): void {
  const speaks = ({ algorithms }: TokenLibrary) => algorithms.includes(alg)
  if (speaks(library)) return
  const able = Object.values(libraries).filter(speaks)
  throw new TypeError(
    `${library.name} does not support ${alg}; ${able.map(({ name }) => name).join(' and ')} do.`,
  )
}
