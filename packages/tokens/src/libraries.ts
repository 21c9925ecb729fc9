import type { Algorithm } from './algorithms.ts'
import { nodeCrypto } from './libraries/node-crypto.ts'
import type { LibraryName, TokenLibrary } from './library.ts'

/** Every adapter by name. One that is not used is not loaded. */
export const libraries = { 'node-crypto': nodeCrypto } as unknown as Readonly<
  Record<LibraryName, TokenLibrary>
>

/**
 * Names the libraries that could be meant, when one cannot do what is asked of it.
 * @throws {TypeError} when the library lacks the algorithm.
 */
export function assertSpeaks(library: TokenLibrary, alg: Algorithm): void {
  if (library.algorithms.includes(alg)) return
  const able = Object.values(libraries).filter(({ algorithms }) => algorithms.includes(alg))
  throw new TypeError(
    `${library.name} does not speak ${alg}; ${able.map(({ name }) => name).join(' and ')} do.`,
  )
}
