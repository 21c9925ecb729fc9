export * from './finding.ts'
export * from './lint.ts'
export * from './manifest.ts'
export * from './policy.ts'
