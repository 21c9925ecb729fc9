export { Introspection, looksLikeJwt } from './introspection.ts'
export { introspectionCredential } from './introspection-config.ts'
