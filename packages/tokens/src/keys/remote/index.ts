export { remoteKeys } from './remote-keys.ts'
