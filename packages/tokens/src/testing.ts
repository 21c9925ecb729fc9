export type { WrongToken, WrongTokensOptions } from './testing/forge.ts'
export * from './testing/forge-token.ts'
export { presentClaims, testKey } from './testing/test-key.ts'
export * from './testing/wrong-tokens.ts'
