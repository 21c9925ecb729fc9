import { isLoopback } from '@hallpass/service-kit'
import { readJson } from '@hallpass/untrusted/json'
import type * as Library from 'openid-client'
import { PEER, ProviderFault } from './refusals.ts'

/** Where the provider is. */
export interface ProviderAddress {
  /** Exactly as in the `iss` claim, with its path and its trailing slash. */
  readonly issuerUrl: string
  /** The address of the same provider for this service, if it differs from the browsers'. */
  readonly backChannelUrl?: string | undefined
  /** The key set, instead of the one that the metadata names. */
  readonly jwksUrl?: string | undefined
}

/** The endpoints that this service calls itself. */
const BACK_CHANNEL = ['token_endpoint', 'jwks_uri', 'userinfo_endpoint', 'revocation_endpoint'] as const
/** Those to which it sends browsers, `id_token_hint` included. */
const FRONT_CHANNEL = ['authorization_endpoint', 'end_session_endpoint'] as const
const REQUIRED: readonly string[] = ['authorization_endpoint', 'token_endpoint']

const withoutSlash = (url: string) => url.replace(/\/$/, '')

/**
 * Tests whether two issuers are the same: exactly (OpenID Connect Discovery §4.3). Only the slash of an empty path is
 * insignificant, because `https://host` and `https://host/` are the same URL, and providers document one and use the other.
 */
export const isSameIssuer = (configured: string, published: string): boolean =>
  configured === published ||
  (withoutSlash(configured) === withoutSlash(published) && new URL(published).pathname === '/')

/**
 * Fetches the provider's metadata (OpenID Connect Discovery §4), with the endpoints at the address for this service.
 * @throws {PeerError}
 */
export async function discover(
  address: ProviderAddress,
  get: (url: string) => Promise<Response>,
): Promise<Library.ServerMetadata> {
  const { issuerUrl, backChannelUrl, jwksUrl } = address
  const url = `${withoutSlash(backChannelUrl ?? issuerUrl)}/.well-known/openid-configuration`
  const response = await get(url)
  const fault = (what: string) => new ProviderFault(`${PEER} at ${issuerUrl} ${what}.`)
  if (response.status !== 200) throw fault(`answered ${response.status} to GET ${url}`)
  const metadata = objectIn(await response.text())
  if (!metadata) throw fault(`sent metadata that are not JSON (${url})`)
  const { issuer } = metadata
  if (typeof issuer !== 'string' || !URL.canParse(issuer) || !isSameIssuer(issuerUrl, issuer))
    throw fault(
      `says in ${url} that its issuer is ${JSON.stringify(issuer)}; set ISSUER_BASE_URL to exactly that, if it is the right one`,
    )
  const moved: Record<string, unknown> =
    backChannelUrl === undefined ? {} : atBackChannel(metadata, issuer, backChannelUrl)
  // The configuration has checked the key set that it names.
  const { jwks_uri, ...others }: Record<string, unknown> = { ...metadata, ...moved }
  const found = jwksUrl === undefined ? { ...others, jwks_uri } : others
  const problem = [
    ...FRONT_CHANNEL.map((name) => endpointProblem(name, found[name], issuerUrl)),
    ...BACK_CHANNEL.map((name) => endpointProblem(name, found[name], url)),
  ].find((one) => one !== undefined)
  if (problem) throw fault(`${problem} in ${url}`)
  return { ...found, ...(jwksUrl === undefined ? {} : { jwks_uri: jwksUrl }) } as Library.ServerMetadata
}

/**
 * Returns what is wrong with an endpoint. It must be encrypted like the address of the provider: an http provider may be trusted
 * because it is on this machine, and then so must be what it names, or because a mesh encrypts it.
 */
function endpointProblem(name: string, endpoint: unknown, address: string): string | undefined {
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint))
    return REQUIRED.includes(name) ? `has no valid ${name}` : undefined
  const { protocol, hostname } = new URL(endpoint)
  if (protocol === 'https:') return undefined
  if (protocol !== 'http:') return `has no valid ${name}`
  const provider = new URL(address)
  if (provider.protocol === 'https:') return `names an unencrypted ${name}`
  return isLoopback(provider.hostname) && !isLoopback(hostname)
    ? `names an unencrypted ${name} on the network`
    : undefined
}

/** Replaces the issuer by the other address, or only its origin in endpoints that are not below the issuer. */
function atBackChannel(metadata: Record<string, unknown>, issuer: string, backChannelUrl: string) {
  const [from, to] = [withoutSlash(issuer), withoutSlash(backChannelUrl)]
  const moved: Record<string, string> = {}
  for (const name of BACK_CHANNEL) {
    const url = metadata[name]
    if (typeof url !== 'string' || !URL.canParse(url)) continue
    const { origin, pathname, search } = new URL(url)
    if (url.startsWith(`${from}/`)) moved[name] = to + url.slice(from.length)
    else if (origin === new URL(issuer).origin) moved[name] = new URL(to).origin + pathname + search
  }
  return moved
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const json = readJson(text)
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
