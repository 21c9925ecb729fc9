import { request } from 'node:https'
import { cappedMs } from '@hallpass/untrusted/timers'
import { SpiffeBundle } from '../spiffe-bundle/index.ts'
import { parseTrustDomain, type SpiffeIdLike, type TrustDomainLike } from '../spiffe-id/index.ts'
import { authorizeId, SpiffeAgent, tlsClient } from '../tls/index.ts'
import type { X509BundleSource } from '../x509-bundle/index.ts'
import { FederationError } from './errors.ts'

/** A bundle has a handful of keys, so a document of more than a megabyte is not a bundle. */
const MAX_DOCUMENT_BYTES = 1024 * 1024

const DEFAULT_TIMEOUT_MS = 10_000

/** `https_web`: the endpoint has a Web PKI certificate for its host name (Federation §5.2.1). */
export interface WebProfile {
  readonly profile: 'https_web'
  /** CA certificates that replace the Web PKI roots, as PEM. */
  readonly ca?: string
}

/** `https_spiffe`: the endpoint has an SVID, verified with an earlier copy of the bundle (Federation §5.2.2). */
export interface SpiffeProfile {
  readonly profile: 'https_spiffe'
  readonly endpointId: SpiffeIdLike
  readonly bundles: X509BundleSource
}

export interface FetchBundleOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/**
 * Fetches the bundle of a trust domain from its endpoint. Redirects are not followed, because they could lead to an
 * endpoint with another identity (Federation §5.2).
 *
 * @throws FederationError
 */
export async function fetchBundle(
  trustDomain: TrustDomainLike,
  url: string,
  profile: WebProfile | SpiffeProfile,
  options: FetchBundleOptions = {},
): Promise<SpiffeBundle> {
  const domain = parseTrustDomain(trustDomain)
  const endpoint = new URL(url)
  if (endpoint.protocol !== 'https:' || endpoint.username !== '' || endpoint.password !== '')
    throw new FederationError(
      'malformed_url',
      `a bundle endpoint must have an https URL without credentials, protocol is ${endpoint.protocol}`,
    )
  let document: string
  try {
    document = await get(endpoint, profile, options)
  } catch (cause) {
    if (cause instanceof FederationError) throw cause
    throw new FederationError('unreachable', `could not GET bundle: ${(cause as Error).message}`, { cause })
  }
  try {
    return SpiffeBundle.ofJson(domain, document)
  } catch (cause) {
    throw new FederationError('malformed_bundle', `could not parse bundle: ${(cause as Error).message}`, {
      cause,
    })
  }
}

function get(
  endpoint: URL,
  profile: WebProfile | SpiffeProfile,
  options: FetchBundleOptions,
): Promise<string> {
  const timeout = AbortSignal.timeout(cappedMs(options.timeoutMs ?? DEFAULT_TIMEOUT_MS))
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
  return new Promise((resolve, reject) => {
    const call = request(endpoint, {
      ...connection(profile),
      headers: { accept: 'application/json' },
      signal,
    })
    call.once('error', reject)
    call.once('response', (response) => {
      if (response.statusCode !== 200) {
        response.resume()
        reject(new FederationError('unexpected_status', `unexpected status: ${response.statusCode}`))
        return
      }
      let size = 0
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        chunks.push(chunk)
        if (size > MAX_DOCUMENT_BYTES)
          response.destroy(
            new FederationError('too_large', `the bundle has more than ${MAX_DOCUMENT_BYTES} bytes`),
          )
      })
      response.once('error', reject)
      response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    })
    call.end()
  })
}

/** Makes a new agent for every fetch, so that no connection outlives the check of its endpoint. */
function connection(profile: WebProfile | SpiffeProfile) {
  if (profile.profile === 'https_web')
    return { agent: false, ...(profile.ca !== undefined && { ca: profile.ca }) }
  const security = tlsClient(profile.bundles, authorizeId(profile.endpointId))
  return { agent: new SpiffeAgent(security, { keepAlive: false }) }
}
