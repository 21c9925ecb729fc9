export { type CallPeer, callerWithIdentity } from './caller-with-identity.ts'
export { NoTokenError } from './token-endpoint.ts'
export { type UpstreamAccess, UpstreamCredentials } from './upstream-credentials.ts'
