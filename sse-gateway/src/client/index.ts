export { type ExampleKeys, ensureExampleKeys } from './example-keys.ts'
export { openStream, type StreamConnection } from './open-stream.ts'
