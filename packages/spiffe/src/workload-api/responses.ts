import { findPath } from '@hallpass/x509'
import type { Clock } from '../clock.ts'
import { JwtBundle } from '../jwt-bundle/bundle.ts'
import { JwtBundleSet } from '../jwt-bundle/set.ts'
import { JwtSvidError } from '../jwt-svid/errors.ts'
import { parseInsecure } from '../jwt-svid/parse.ts'
import type { JwtSvid } from '../jwt-svid/svid.ts'
import { parseTrustDomain } from '../spiffe-id/parse.ts'
import type { TrustDomain } from '../spiffe-id/trust-domain.ts'
import { X509Bundle } from '../x509-bundle/bundle.ts'
import { X509BundleSet } from '../x509-bundle/set.ts'
import { X509SvidError } from '../x509-svid/errors.ts'
import { X509Svid } from '../x509-svid/svid.ts'
import { MalformedResponseError } from './errors.ts'
import type {
  JwtBundlesResponse,
  JwtSvidResponse,
  X509BundlesResponse,
  X509SvidMessage,
  X509SvidResponse,
} from './messages.ts'

/** One's X.509 identities and whom to trust: a full state, which replaces the one before it. */
export interface X509Context {
  /** At least one; the first one is the default. */
  readonly svids: readonly X509Svid[]
  /** Of one's own trust domain and of those it federates with. */
  readonly bundles: X509BundleSet
}

/**
 * Reads a response whole or not at all (Workload API §4.5): every mandatory field is there, every SVID has the
 * ID it is said to have, fits its key and leads to the bundle that comes with it.
 */
export function readX509Context(response: X509SvidResponse, clock: Clock): X509Context {
  return orMalformed('X509SVIDResponse', () => {
    if (response.svids.length === 0) throw new Error('there are no SVIDs in it')
    const own = new Map<string, X509Bundle>()
    const svids = withoutRepeatedHints(response.svids).map((message) => {
      const svid = readX509Svid(message)
      const bundle = X509Bundle.ofDer(svid.id.trustDomain, message.bundle)
      checkOwnPath(svid, bundle, clock())
      own.set(bundle.trustDomain.name, bundle)
      return svid
    })
    const federated = readX509BundleMap(response.federatedBundles)
    // What comes as federated must not replace the bundle of one's own trust domain.
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
      `the certificate is of ${svid.id}, the response says ${message.spiffeId}`,
    )
  return svid
}

function checkOwnPath(svid: X509Svid, bundle: X509Bundle, now: number): void {
  const [leaf, ...intermediates] = svid.certificates
  // A clock that is late must not keep a fresh SVID out; one that is expired is of no use to anybody.
  const at = Math.max(now, leaf?.notBefore ?? 0)
  findPath(svid.leaf, intermediates, bundle.authorities, at)
}

export function readX509Bundles(response: X509BundlesResponse): X509BundleSet {
  return orMalformed('X509BundlesResponse', () => {
    if (response.bundles.size === 0) throw new Error('there are no bundles in it')
    return new X509BundleSet(readX509BundleMap(response.bundles))
  })
}

function readX509BundleMap(map: ReadonlyMap<string, Uint8Array>): X509Bundle[] {
  return [...map].map(([key, der]) => X509Bundle.ofDer(readKey(key), der))
}

export function readJwtBundles(response: JwtBundlesResponse): JwtBundleSet {
  return orMalformed('JWTBundlesResponse', () => {
    if (response.bundles.size === 0) throw new Error('there are no bundles in it')
    const bundles = [...response.bundles].map(([key, jwks]) =>
      JwtBundle.ofJwks(readKey(key), Buffer.from(jwks).toString('utf8')),
    )
    return new JwtBundleSet(bundles)
  })
}

/** The JWT-SVIDs of a response, read but not validated: they come from one's own agent. */
export function readJwtSvids(
  response: JwtSvidResponse,
  audience: readonly string[],
  clock: Clock,
): readonly JwtSvid[] {
  return orMalformed('JWTSVIDResponse', () => {
    if (response.svids.length === 0) throw new Error('there are no SVIDs in it')
    return withoutRepeatedHints(response.svids).map(({ svid: token, spiffeId, hint }) => {
      if (token === '' || spiffeId === '') throw new Error('a mandatory field of an SVID is empty')
      const svid = parseInsecure(token, audience, { clock })
      if (svid.id.toString() !== spiffeId)
        throw new JwtSvidError(
          'id_mismatch',
          `jwtsvid: the token is of ${svid.id}, the response says ${spiffeId}`,
        )
      return svid.withHint(hint)
    })
  })
}

/** A trust domain as a key of a map: its ID by the standard, its bare name from some servers. */
const readKey = (key: string): TrustDomain => parseTrustDomain(key)

/** Of SVIDs with the same hint the first one counts (Workload API §5.2.1); without a hint they are all kept. */
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
