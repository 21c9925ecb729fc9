import type { Algorithm, SignatureAlgorithm } from '../keys/algorithms.ts'
import { jose } from './jose.ts'
import { jsonwebtoken } from './jsonwebtoken.ts'
import type { LibraryName, TokenLibrary } from './library.ts'
import { nodeCrypto } from './node-crypto.ts'
import { nodeJose } from './node-jose.ts'

/** Every adapter by name, the default first. A library is loaded when its adapter is first used. */
export const libraries: Readonly<Record<LibraryName, TokenLibrary>> = {
  'node-crypto': nodeCrypto,
  jsonwebtoken,
  jose,
  'node-jose': nodeJose,
}

/**
 * The library that a configuration names, if it speaks all algorithms that it will be asked for: so that a service
 * refuses to start, rather than to sign.
 * @throws {TypeError} naming those that could be meant.
 */
export function libraryNamed(name: string, algorithms: readonly Algorithm[] = []): TokenLibrary {
  if (!Object.hasOwn(libraries, name))
    throw new TypeError(`There is no token library ${name}; there are ${Object.keys(libraries).join(', ')}.`)
  const library = libraries[name as LibraryName]
  for (const alg of algorithms) assertSpeaks(library, alg)
  return library
}

/** @throws {TypeError} when the library lacks the algorithm. */
export function assertSpeaks(library: TokenLibrary, alg: SignatureAlgorithm): void {
  const speaks = ({ algorithms }: TokenLibrary) => (algorithms as readonly SignatureAlgorithm[]).includes(alg)
  if (speaks(library)) return
  const able = Object.values(libraries).filter(speaks)
  throw new TypeError(
    `${library.name} does not speak ${alg}; ${able.map(({ name }) => name).join(' and ')} do.`,
  )
}
