import {
  byteStrings,
  bytes,
  bytesMap,
  message,
  messages,
  optional,
  string,
  stringMap,
  strings,
} from './protobuf.ts'
import { struct } from './struct.ts'

/*
 * The messages of the SPIFFE Workload API as tables of their fields:
 * https://github.com/spiffe/spiffe/blob/main/standards/workloadapi.proto
 */

const x509Svid = message({
  spiffeId: string(1),
  /** Concatenated DER certificates, leaf first, without the root. */
  x509Svid: bytes(2),
  /** PKCS#8 DER, unencrypted. */
  x509SvidKey: bytes(3),
  /** Concatenated DER certificates. */
  bundle: bytes(4),
  hint: string(5),
})
export type X509SvidMessage = ReturnType<typeof x509Svid.decode>

export const x509SvidRequest = message({})
export const x509SvidResponse = message({
  svids: messages(1, x509Svid),
  crl: byteStrings(2),
  federatedBundles: bytesMap(3),
})
export type X509SvidResponse = ReturnType<typeof x509SvidResponse.decode>

export const x509BundlesRequest = message({})
export const x509BundlesResponse = message({ crl: byteStrings(1), bundles: bytesMap(2) })
export type X509BundlesResponse = ReturnType<typeof x509BundlesResponse.decode>

export const jwtSvidRequest = message({ audience: strings(1), spiffeId: string(2) })
export type JwtSvidRequest = ReturnType<typeof jwtSvidRequest.decode>

const jwtSvid = message({ spiffeId: string(1), svid: string(2), hint: string(3) })
export type JwtSvidMessage = ReturnType<typeof jwtSvid.decode>

export const jwtSvidResponse = message({ svids: messages(1, jwtSvid) })
export type JwtSvidResponse = ReturnType<typeof jwtSvidResponse.decode>

export const jwtBundlesRequest = message({})
/** JWK Sets by trust domain, as JSON bytes. */
export const jwtBundlesResponse = message({ bundles: bytesMap(1) })
export type JwtBundlesResponse = ReturnType<typeof jwtBundlesResponse.decode>

export const validateJwtSvidRequest = message({ audience: string(1), svid: string(2) })
export type ValidateJwtSvidRequest = ReturnType<typeof validateJwtSvidRequest.decode>

export const validateJwtSvidResponse = message({ spiffeId: string(1), claims: optional(2, () => struct) })
export type ValidateJwtSvidResponse = ReturnType<typeof validateJwtSvidResponse.decode>

export const witSvidRequest = message({ spiffeId: string(1) })
const witSvid = message({ spiffeId: string(1), witSvid: string(2), witSvidKey: string(3), hint: string(4) })
export const witSvidResponse = message({ svids: messages(1, witSvid) })

export const witBundlesRequest = message({})
/** Unlike every other bundle of the API, these are strings. */
export const witBundlesResponse = message({ bundles: stringMap(1) })
