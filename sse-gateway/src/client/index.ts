export { type ExampleKeys, ensureExampleKeys } from '../admission/example-keys.ts'
