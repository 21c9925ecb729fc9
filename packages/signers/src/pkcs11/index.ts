export { pkcs11Signers } from './pkcs11-signers.ts'
export type { TokenOptions } from './token.ts'
