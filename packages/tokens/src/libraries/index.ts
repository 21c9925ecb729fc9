export { assertSpeaks, libraries, libraryNamed } from './libraries.ts'
export type { TokenLibrary } from './library.ts'
export { nodeCrypto } from './node-crypto.ts'
export { signingInputOf } from './signing-input.ts'
