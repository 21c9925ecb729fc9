export {
  FakeWorkloadApi,
  type IssuedIdentity,
  type RecordedCall,
  x509BundleMap,
  x509SvidMessage,
} from './fake-workload-api.ts'
export {
  type CertificateShape,
  createJwtKey,
  type IssuedSvid,
  jwks,
  keyUsageBits,
  rawExtension,
  signJwt,
  TestAuthority,
  type TestJwtKey,
  TestTrustDomain,
} from './trust-domain.ts'
