export * from './testing/forge-token.ts'
export * from './testing/wrong-tokens.ts'
