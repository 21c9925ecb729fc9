export { type ExampleKeys, ensureExampleKeys } from './example-keys.ts'
