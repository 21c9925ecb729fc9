export { AUTHORITY_KINDS, Authorities, type AuthorityKind } from './authorities.ts'
export { JWT_ALGORITHMS, type JwtAuthority, workloadApiJwk } from './jwt-authority.ts'
export { SvidIssuer } from './svid-issuer.ts'
