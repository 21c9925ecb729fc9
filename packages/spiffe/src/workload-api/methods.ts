import type { Method } from '../grpc/index.ts'
import {
  type Codec,
  jwtBundlesRequest,
  jwtBundlesResponse,
  jwtSvidRequest,
  jwtSvidResponse,
  validateJwtSvidRequest,
  validateJwtSvidResponse,
  witBundlesRequest,
  witBundlesResponse,
  witSvidRequest,
  witSvidResponse,
  x509BundlesRequest,
  x509BundlesResponse,
  x509SvidRequest,
  x509SvidResponse,
} from './wire/index.ts'

/** Required in every request, so that a browser or proxy cannot be tricked into sending one (Workload API §3.1). */
export const SECURITY_HEADER = 'workload.spiffe.io'
export const SECURITY_HEADER_VALUE = 'true'

const unary = <Q, A>(name: string, request: Codec<Q>, response: Codec<A>): Method<'unary', Q, A> => ({
  path: `/SpiffeWorkloadAPI/${name}`,
  kind: 'unary',
  request,
  response,
})

const stream = <Q, A>(name: string, request: Codec<Q>, response: Codec<A>): Method<'stream', Q, A> => ({
  path: `/SpiffeWorkloadAPI/${name}`,
  kind: 'stream',
  request,
  response,
})

/** The methods of the Workload API; the service name has no package. */
export const fetchX509Svid = stream('FetchX509SVID', x509SvidRequest, x509SvidResponse)
export const fetchX509Bundles = stream('FetchX509Bundles', x509BundlesRequest, x509BundlesResponse)
export const fetchJwtSvid = unary('FetchJWTSVID', jwtSvidRequest, jwtSvidResponse)
export const fetchJwtBundles = stream('FetchJWTBundles', jwtBundlesRequest, jwtBundlesResponse)
export const validateJwtSvid = unary('ValidateJWTSVID', validateJwtSvidRequest, validateJwtSvidResponse)
/** The optional WIT profile; a server without it answers Unimplemented. */
export const fetchWitSvid = stream('FetchWITSVID', witSvidRequest, witSvidResponse)
export const fetchWitBundles = stream('FetchWITBundles', witBundlesRequest, witBundlesResponse)
