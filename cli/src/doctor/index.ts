export type { Finding } from './finding.ts'
export { findings } from './findings.ts'
export { examineIssuer, type IssuerReport } from './issuer/index.ts'
