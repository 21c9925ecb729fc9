export * from './config.ts'
export * from './tier-trust.ts'
