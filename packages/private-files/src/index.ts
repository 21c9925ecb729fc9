export {
  assertPrivate,
  type Exposure,
  explainExposure,
  explainSecretFile,
  explainTampering,
  readOwnerOnlyFile,
} from './exposure.ts'
export * from './private-files.ts'
export { quoted } from './quoted.ts'
export { shortSocketFolder } from './short-socket-folder.ts'
export { withShortSocketPath } from './short-socket-path.ts'
export { asStateFileError, MADE_AGAIN, parseStateFile, StateFileError } from './state-file-error.ts'
export * from './state-version.ts'
