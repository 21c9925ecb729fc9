export { askedBy, auditRefusals, factsOf } from './asked-by.ts'
export { type AuditAction, isAuditAction } from './audit-entry.ts'
export { AuditLog, type AuditPosition } from './audit-log.ts'
