export { issuerChecks } from './checks.ts'
