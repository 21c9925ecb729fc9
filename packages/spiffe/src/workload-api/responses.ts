import { findPath } from '@hallpass/x509'
import type { Clock } from '../clock.ts'
import { JwtBundle, JwtBundleSet } from '../jwt-bundle/index.ts'
import { type JwtSvid, JwtSvidError, parseInsecure } from '../jwt-svid/index.ts'
import { parseTrustDomain, type TrustDomain } from '../spiffe-id/index.ts'
import { X509Bundle, X509BundleSet } from '../x509-bundle/index.ts'
import { X509Svid, X509SvidError } from '../x509-svid/index.ts'
import { MalformedResponseError } from './errors.ts'
import type {
  JwtBundlesResponse,
  JwtSvidResponse,
  X509BundlesResponse,
  X509SvidMessage,
  X509SvidResponse,
} from './wire/index.ts'

/** The workload's X.509-SVIDs and bundles: a complete state that replaces the previous one. */
export interface X509Context {
  /** At least one; the first is the default. */
  readonly svids: readonly X509Svid[]
  /** The bundles of the workload's own and of federated trust domains. */
  readonly bundles: X509BundleSet
}

/**
 * Reads a response completely or rejects it (Workload API §4.5): every mandatory field is present, and every SVID has the
 * stated ID, matches its key and has a path to its bundle.
 */
export function readX509Context(response: X509SvidResponse, clock: Clock): X509Context {
  return orMalformed('X509SVIDResponse', () => {
    if (response.svids.length === 0) throw new Error('it contains no SVIDs')
    const own = new Map<string, X509Bundle>()
    const svids = withoutRepeatedHints(response.svids).map((message) => {
      const svid = readX509Svid(message)
      const bundle = X509Bundle.ofDer(svid.id.trustDomain, message.bundle)
      checkOwnPath(svid, bundle, clock())
      own.set(bundle.trustDomain.name, bundle)
      return svid
    })
    const federated = readX509BundleMap(response.federatedBundles)
    // A federated bundle must not replace the bundle of the workload's own trust domain.
    const foreign = federated.filter(({ trustDomain }) => !own.has(trustDomain.name))
    return { svids, bundles: new X509BundleSet([...own.values(), ...foreign]) }
  })
}

function readX509Svid(message: X509SvidMessage): X509Svid {
  for (const name of ['spiffeId', 'x509Svid', 'x509SvidKey', 'bundle'] as const)
    if (message[name].length === 0) throw new Error(`the mandatory field ${name} of an SVID is empty`)
  const svid = X509Svid.ofDer(message.x509Svid, message.x509SvidKey, message.hint)
  if (svid.id.toString() !== message.spiffeId)
    throw new X509SvidError(
      'id_mismatch',
      `the certificate is for ${svid.id}, but the response names ${message.spiffeId}`,
    )
  return svid
}

function checkOwnPath(svid: X509Svid, bundle: X509Bundle, now: number): void {
  const [leaf, ...intermediates] = svid.certificates
  // A slow clock must not reject a new SVID; an expired one is still rejected.
  const at = Math.max(now, leaf?.notBefore ?? 0)
  findPath(svid.leaf, intermediates, bundle.authorities, at)
}

export function readX509Bundles(response: X509BundlesResponse): X509BundleSet {
  return orMalformed('X509BundlesResponse', () => {
    if (response.bundles.size === 0) throw new Error('it contains no bundles')
    return new X509BundleSet(readX509BundleMap(response.bundles))
  })
}

function readX509BundleMap(map: ReadonlyMap<string, Uint8Array>): X509Bundle[] {
  return [...map].map(([key, der]) => X509Bundle.ofDer(readKey(key), der))
}

export function readJwtBundles(response: JwtBundlesResponse): JwtBundleSet {
  return orMalformed('JWTBundlesResponse', () => {
    if (response.bundles.size === 0) throw new Error('it contains no bundles')
    const bundles = [...response.bundles].map(([key, jwks]) =>
      JwtBundle.ofJwks(readKey(key), Buffer.from(jwks).toString('utf8')),
    )
    return new JwtBundleSet(bundles)
  })
}

/** Parses the JWT-SVIDs of a response without verifying signatures, because they come from the workload's own agent. */
export function readJwtSvids(
  response: JwtSvidResponse,
  audience: readonly string[],
  clock: Clock,
): readonly JwtSvid[] {
  return orMalformed('JWTSVIDResponse', () => {
    if (response.svids.length === 0) throw new Error('it contains no SVIDs')
    return withoutRepeatedHints(response.svids).map(({ svid: token, spiffeId, hint }) => {
      if (token === '' || spiffeId === '') throw new Error('a mandatory field of an SVID is empty')
      const svid = parseInsecure(token, audience, { clock })
      if (svid.id.toString() !== spiffeId)
        throw new JwtSvidError(
          'id_mismatch',
          `jwtsvid: the token is for ${svid.id}, but the response names ${spiffeId}`,
        )
      return svid.withHint(hint)
    })
  })
}

/** Reads a map key: the ID of a trust domain by the standard, its bare name from some servers. */
const readKey = (key: string): TrustDomain => parseTrustDomain(key)

/** Keeps only the first SVID for each hint (Workload API §5.2.1), and all without a hint. */
function withoutRepeatedHints<T extends { readonly hint: string }>(svids: readonly T[]): T[] {
  const seen = new Set<string>()
  return svids.filter(({ hint }) => {
    if (hint === '') return true
    const repeated = seen.has(hint)
    seen.add(hint)
    return !repeated
  })
}

function orMalformed<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new MalformedResponseError(`${name} is not usable: ${(cause as Error).message}`, { cause })
  }
}
