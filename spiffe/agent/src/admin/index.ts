export { adminApi } from './admin-api.ts'
export { HELP, readCommandLine, UsageError } from './command-line.ts'
