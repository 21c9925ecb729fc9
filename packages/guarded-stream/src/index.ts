export * from './session/index.ts'
export * from './timing/index.ts'
export * from './writers/index.ts'
