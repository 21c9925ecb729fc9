export type { CertifiedKey, LeafRequest } from './authority.ts'
export * from './development.ts'
export * from './tls-files.ts'
