export * from './algorithms.ts'
