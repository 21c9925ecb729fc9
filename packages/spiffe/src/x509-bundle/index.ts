export { X509Bundle, type X509BundleSource } from './bundle.ts'
export { X509BundleError, type X509BundleErrorCode } from './errors.ts'
export { X509BundleSet } from './set.ts'
