export { X509SvidError, type X509SvidErrorCode } from './errors.ts'
export { X509Svid, type X509SvidSource } from './svid.ts'
export { type VerifiedPeer, type VerifyOptions, verifyX509Svid } from './verify.ts'
