export {
  type Certificate,
  PathError,
  type PathErrorCode,
  parseCertificate,
  parseCertificates,
  parsePemCertificates,
} from '@hallpass/x509'
export { type Clock, systemClock } from './clock.ts'
export { FederationError, type FederationErrorCode } from './federation/errors.ts'
export {
  type FetchBundleOptions,
  fetchBundle,
  type SpiffeProfile,
  type WebProfile,
} from './federation/fetch.ts'
export { serveBundle } from './federation/serve.ts'
export { type BundleWatcher, type WatchBundleOptions, watchBundle } from './federation/watch.ts'
export { GrpcError, type StatusCode, status, statusName } from './grpc/status.ts'
export { JwtBundle, type JwtBundleSource } from './jwt-bundle/bundle.ts'
export { JwtBundleError, type JwtBundleErrorCode } from './jwt-bundle/errors.ts'
export type { JwtAuthority } from './jwt-bundle/jwk.ts'
export { JwtBundleSet } from './jwt-bundle/set.ts'
export { JwtSvidError, type JwtSvidErrorCode } from './jwt-svid/errors.ts'
export { cachedValidator, parseAndValidate, parseInsecure, svidValidator } from './jwt-svid/parse.ts'
export { DEFAULT_LEEWAY_SECONDS, type ParseOptions, SVID_CHECKS, svidRules } from './jwt-svid/rules.ts'
export type { JwtSvidParams, JwtSvidSource } from './jwt-svid/source.ts'
export { type Claims, JwtSvid } from './jwt-svid/svid.ts'
export type { ValidatedSvid } from './jwt-svid/verification.ts'
export { SpiffeBundle } from './spiffe-bundle/bundle.ts'
export { SpiffeBundleError, type SpiffeBundleErrorCode } from './spiffe-bundle/errors.ts'
export { SpiffeBundleSet } from './spiffe-bundle/set.ts'
export { SpiffeIdError, type SpiffeIdErrorCode } from './spiffe-id/errors.ts'
export { SpiffeId } from './spiffe-id/id.ts'
export {
  type Matcher,
  matchAny,
  matchId,
  matchMemberOf,
  matchOneOf,
  SpiffeIdMismatch,
} from './spiffe-id/match.ts'
export {
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeIdLike,
  type TrustDomainLike,
} from './spiffe-id/parse.ts'
export { joinPath, validatePath } from './spiffe-id/path.ts'
export { TrustDomain } from './spiffe-id/trust-domain.ts'
export {
  type Authorizer,
  authorizeAny,
  authorizeId,
  authorizeMemberOf,
  authorizeOneOf,
} from './tls/authorizer.ts'
export {
  type ClientSecurity,
  type ClientSecurityOptions,
  mtlsClient,
  mtlsWebClient,
  tlsClient,
} from './tls/client.ts'
export { SpiffeTlsError, type TlsErrorCode } from './tls/errors.ts'
export { SpiffeAgent, type SpiffeAgentOptions } from './tls/https-agent.ts'
export { peerOf } from './tls/peer.ts'
export {
  mtlsServer,
  mtlsWebServer,
  type ServerSecurity,
  type ServerSecurityOptions,
  tlsServer,
} from './tls/server.ts'
export { type UndiciConnector, undiciConnector } from './tls/undici-connector.ts'
export {
  AddressError,
  ENDPOINT_VARIABLE,
  parseAddress,
  resolveAddress,
  socketUri,
} from './workload-api/address.ts'
export { BundleSource } from './workload-api/bundle-source.ts'
export {
  type FetchOptions,
  type ValidatedJwtSvid,
  WorkloadApiClient,
  type WorkloadApiClientOptions,
} from './workload-api/client.ts'
export { MalformedResponseError } from './workload-api/errors.ts'
export { type FetchJwtSvidParams, JwtSource, type JwtSourceOptions } from './workload-api/jwt-source.ts'
export type { X509Context } from './workload-api/responses.ts'
export {
  type ReadyOptions,
  SourceError,
  type SourceErrorCode,
  type SourceHealth,
  type SubscriptionState,
} from './workload-api/subscription.ts'
export type { Watcher } from './workload-api/watch.ts'
export { X509Source, type X509SourceHealth, type X509SourceOptions } from './workload-api/x509-source.ts'
export { X509Bundle, type X509BundleSource } from './x509-bundle/bundle.ts'
export { X509BundleError, type X509BundleErrorCode } from './x509-bundle/errors.ts'
export { X509BundleSet } from './x509-bundle/set.ts'
export { X509SvidError, type X509SvidErrorCode } from './x509-svid/errors.ts'
export { X509Svid, type X509SvidSource } from './x509-svid/svid.ts'
export { type VerifiedPeer, type VerifyOptions, verifyX509Svid } from './x509-svid/verify.ts'
