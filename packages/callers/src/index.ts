export * from './config.ts'
export * from './credentials.ts'
export * from './guard.ts'
export * from './trusted-callers.ts'
