export { findings } from './findings.ts'
