export { BundleSource } from './bundle-source.ts'
export { type FetchJwtSvidParams, JwtSource, type JwtSourceOptions } from './jwt-source.ts'
export {
  type ReadyOptions,
  SourceError,
  type SourceErrorCode,
  type SourceHealth,
  type SubscriptionState,
} from './subscription.ts'
export { X509Source, type X509SourceHealth, type X509SourceOptions } from './x509-source.ts'
