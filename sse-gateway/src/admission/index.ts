export { type AuthorizationRules, Authorizer } from './authorizer.ts'
export { type CredentialSources, credentialsOf } from './credentials.ts'
export type { Grant } from './grant.ts'
export { covers, type Revocation, Revocations } from './revocations.ts'
