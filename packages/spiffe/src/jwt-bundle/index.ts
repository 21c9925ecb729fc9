export { JwtBundle, type JwtBundleSource } from './bundle.ts'
export { JwtBundleError, type JwtBundleErrorCode } from './errors.ts'
export { type Jwk, type JwtAuthority, keysOf, readAuthority, toJwk } from './jwk.ts'
export { JwtBundleSet } from './set.ts'
