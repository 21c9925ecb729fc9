export { SpiffeBundle } from './bundle.ts'
export { SpiffeBundleError, type SpiffeBundleErrorCode } from './errors.ts'
export { SpiffeBundleSet } from './set.ts'
