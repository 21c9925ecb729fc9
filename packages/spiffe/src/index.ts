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
