export { Introspection, looksLikeJwt } from './introspection.ts'
