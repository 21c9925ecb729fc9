export * from './config.ts'
export * from './credentials.ts'
export * from './guard.ts'
export type { Caller } from './trusted-callers.ts'
