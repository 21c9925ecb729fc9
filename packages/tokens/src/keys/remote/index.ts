export { KeyNotLoadedError } from './key-not-loaded.ts'
export { remoteKeys } from './remote-keys.ts'
