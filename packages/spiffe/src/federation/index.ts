export { FederationError, type FederationErrorCode } from './errors.ts'
export { type FetchBundleOptions, fetchBundle, type SpiffeProfile, type WebProfile } from './fetch.ts'
export { serveBundle } from './serve.ts'
export { type BundleWatcher, type WatchBundleOptions, watchBundle } from './watch.ts'
