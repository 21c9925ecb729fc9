import { JsonError, readJson } from '@hallpass/untrusted/json'
import { createPeerCaller, type PeerCaller } from './peer-caller.ts'
import { unexpectedAnswer } from './peer-errors.ts'

export interface IssuerKeysOptions {
  /** Exactly as in the `iss` claim of the issuer's tokens. */
  readonly issuer: string
  /** Where the key set is; without it, the issuer's discovery document says so. */
  readonly jwksUrl?: string | undefined
  /** The only authority whose certificates the issuer may show, as PEM; by default those that Node trusts. */
  readonly ca?: string | undefined
}

/**
 * How to load the key set (JWKS) of an OpenID provider or any other issuer of JWTs. The function that comes back
 * asks once per call; whoever verifies caches what it answers.
 * It rejects with a PeerError when the issuer cannot be asked, or calls itself by another name than it was
 * configured with: its keys would then vouch for somebody else (OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3).
 */
export function issuerKeys({ issuer, jwksUrl, ca }: IssuerKeysOptions): () => Promise<unknown> {
  if (jwksUrl !== undefined) {
    const loadFrom = jsonLoader(issuer, ca)
    return () => loadFrom(jwksUrl)
  }
  const discovery = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const load = jsonLoader(issuer, ca)
  return async () => {
    const metadata = (await load(discovery)) as { issuer?: unknown; jwks_uri?: unknown }
    if (metadata.issuer !== issuer)
      throw unexpectedAnswer(
        'issuer',
        200,
        `it calls itself ${JSON.stringify(metadata.issuer)}, not ${issuer}`,
      )
    if (typeof metadata.jwks_uri !== 'string' || !URL.canParse(metadata.jwks_uri))
      throw unexpectedAnswer('issuer', 200, 'its discovery document names no jwks_uri')
    return load(metadata.jwks_uri)
  }
}

/** One caller per origin; the key set may live on another host than the discovery document. */
function jsonLoader(issuer: string, ca?: string): (url: string) => Promise<unknown> {
  const callers = new Map<string, PeerCaller>()
  // A token's issuer that is safe on the way must not hand out its keys in the clear.
  const secure = issuer.startsWith('https:')
  return async (url) => {
    const { origin, pathname, search, protocol } = new URL(url)
    if (protocol !== 'https:' && (secure || protocol !== 'http:'))
      throw unexpectedAnswer('issuer', 200, `${url} is not an https URL`)
    let call = callers.get(origin)
    if (!call) {
      call = createPeerCaller({
        peer: 'issuer',
        baseUrl: origin,
        ...(ca === undefined ? {} : { tls: { ca } }),
      })
      callers.set(origin, call)
    }
    const path = pathname + search
    const { status, text } = await call({
      method: 'GET',
      path,
      headers: { accept: 'application/json' },
      shared: true,
    })
    if (status !== 200) throw unexpectedAnswer('issuer', status, `GET ${url}`)
    const keys = parse(url, text)
    if (typeof keys !== 'object' || keys === null)
      throw unexpectedAnswer('issuer', 200, `GET ${url} is not JSON`)
    return keys
  }
}

/** Numbers mean nothing in a key set, so one that JavaScript cannot hold spoils none. */
function parse(url: string, text: string): unknown {
  try {
    return readJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    if (error.code === 'malformed_json') return undefined
    throw unexpectedAnswer('issuer', 200, `GET ${url}: ${error.message}`)
  }
}
