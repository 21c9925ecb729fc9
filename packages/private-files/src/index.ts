export * from './private-files.ts'
export * from './short-socket-path.ts'
export { asStateFileError, MADE_AGAIN, parseStateFile, StateFileError } from './state-file-error.ts'
export * from './state-version.ts'
