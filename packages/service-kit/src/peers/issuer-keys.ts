import { readFile } from 'node:fs/promises'
import { JsonError, readJson } from '@hallpass/untrusted/json'
import { HttpError } from '../errors.ts'
import { isLoopback } from '../process/index.ts'
import { PeerError, unexpectedAnswer } from './peer-errors.ts'
import { lazyPeerClient } from './peers.ts'
import type { OnUnusable, UnusableKeys } from './unusable-keys.ts'

export interface IssuerKeysOptions {
  /** Exactly as in the `iss` claim of the issuer's tokens. */
  readonly issuer: string
  /** A JWKS file, instead of the JWKS that the issuer publishes. */
  readonly jwksFile?: string | undefined
  /**
   * The URL of the JWKS; by default it is read from the issuer's discovery document. If it ends with `{?kid}` (RFC 6570
   * §3.2.8), keys that are not in the JWKS are loaded with `?kid=…`, as jwt-factory offers it.
   */
  readonly jwksUrl?: string | undefined
  /** The only CA to trust for the issuer's certificate, as PEM; by default those that Node trusts. */
  readonly ca?: string | undefined
  /**
   * Returns a bearer token for the issuer's endpoints, e.g. for a Kubernetes API server that serves its keys to
   * authenticated clients only. The token also goes to the `jwks_uri` that the issuer names, so only with `ca`.
   */
  readonly token?: (() => Promise<string>) | undefined
  /** Tells the operator which keys cannot be used. Every verifier has one, except where no operator would see it. */
  readonly unusable?: UnusableKeys | undefined
}

/** What a verifier's key finder needs to know about the source of its keys. */
export interface IssuerKeys {
  /** Loads the JWKS once. */
  readonly load: () => Promise<unknown>
  /** Loads a JWKS with this key; undefined if there is none. */
  readonly loadKey?: (kid: string) => Promise<unknown>
  /** How long a JWKS is used, and when it is reloaded after a failure, if the key finder's defaults do not fit. */
  readonly maxAgeMs?: number
  readonly cooldownMs?: number
  /** How long the last JWKS is used if it cannot be loaded. */
  readonly maxStaleMs?: number
  /** Receives the keys of the set that cannot be used. */
  readonly onUnusable?: OnUnusable
  /** Receives the error of a load that failed; undefined when one succeeds. */
  readonly onFailure?: (failure: unknown) => void
}

const PEER = 'issuer'
/**
 * A file is reloaded after four seconds, so a rotation on disk takes effect within seconds without a watcher. If it has been
 * deleted, or is not a JWKS, the keys are used until ten seconds after they were last read, because not every tool replaces a
 * file atomically; then verification fails.
 */
const OF_A_FILE = { maxAgeMs: 4_000, cooldownMs: 1_000, maxStaleMs: 10_000 }
/** Also as printed by `URL`. */
const KID_TEMPLATE = /^(.*?)(?:\{|%7B)\?kid(?:\}|%7D)$/

/**
 * Returns the source of a JWKS of an OpenID provider or any other issuer of JWTs. Every verifier uses it:
 * `remoteKeys({ issuer, ...issuerKeys(…), clock })`.
 *
 * The keys are rejected if the discovery document contains another issuer than the configured one, because they would
 * then belong to that one (OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3), and if an issuer with an https name,
 * or on this machine, has them served unencrypted on the network, where an attacker could replace them (RFC 8725 §3.10).
 * @throws {PeerError} if the issuer cannot be reached or its response is invalid
 * @throws {HttpError} 503 `keys_unusable` if the file cannot be read
 */
export function issuerKeys({ unusable, ...options }: IssuerKeysOptions): IssuerKeys {
  const { issuer, jwksFile, jwksUrl } = options
  const configured = jwksFile ?? jwksUrl
  const source = configured === undefined ? issuer : `${issuer} (${configured})`
  return {
    ...sourceOf(options),
    ...(unusable && { onUnusable: unusable.of(source), onFailure: unusable.failureOf(source) }),
  }
}

function sourceOf({ issuer, jwksFile, jwksUrl, ca, token }: IssuerKeysOptions): IssuerKeys {
  if (jwksFile !== undefined) return { load: () => keySetIn(jwksFile, issuer), ...OF_A_FILE }
  if (token && ca === undefined) throw new TypeError('A token for the issuer needs the CA of the issuer.')
  const load = jsonLoader(issuer, ca, token)
  const [, setUrl] = KID_TEMPLATE.exec(jwksUrl ?? '') ?? []
  if (setUrl !== undefined)
    return {
      load: () => load(setUrl),
      loadKey: (kid) => load(`${setUrl}?kid=${encodeURIComponent(kid)}`, { isOptional: true }),
    }
  if (jwksUrl !== undefined) return { load: () => load(jwksUrl) }
  return { load: async () => load(await endpointIn(load, issuer, 'jwks_uri')) }
}

/**
 * Returns an endpoint of an issuer's discovery document, which is not cached. It is checked like the URL of the keys: the document
 * is of this issuer, and the endpoint is https, unless the issuer itself is trusted without.
 * @throws {PeerError} if the issuer cannot be reached or its response is invalid
 */
export const issuerEndpoint = (issuer: string, name: `${string}_endpoint`): Promise<string> =>
  endpointIn(jsonLoader(issuer, undefined, undefined), issuer, name)

async function endpointIn(load: JsonLoader, issuer: string, name: string): Promise<string> {
  const metadata = (await load(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)) as Readonly<
    Record<string, unknown>
  >
  if (metadata.issuer !== issuer)
    throw unexpectedAnswer(
      PEER,
      200,
      `its discovery document has the issuer ${JSON.stringify(metadata.issuer)}, not ${issuer}`,
    )
  const endpoint = metadata[name]
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint))
    throw unexpectedAnswer(PEER, 200, `its discovery document has no valid ${name}`)
  const { protocol, hostname } = new URL(endpoint)
  const { protocol: ofIssuer, hostname: hostOfIssuer } = new URL(issuer)
  // An http issuer may be trusted because it is on this machine; then so must its endpoints be.
  if (protocol !== 'https:' && (ofIssuer === 'https:' || (isLoopback(hostOfIssuer) && !isLoopback(hostname))))
    throw notHttps(endpoint)
  return endpoint
}

const notHttps = (url: string) =>
  new PeerError(
    PEER,
    502,
    'peer_not_trusted',
    `${PEER} at ${new URL(url).origin} is not trusted (${url} is not an https URL).`,
  )

async function keySetIn(file: string, issuer: string): Promise<unknown> {
  try {
    return readJson(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new HttpError(503, 'keys_unusable', `The keys of ${issuer} cannot be read.`, { cause })
  }
}

type JsonLoader = (url: string, options?: { readonly isOptional?: boolean }) => Promise<unknown>

function jsonLoader(issuer: string, ca: string | undefined, token: IssuerKeysOptions['token']): JsonLoader {
  const secure = issuer.startsWith('https:')
  const client = lazyPeerClient({ peer: PEER, ...(ca === undefined ? {} : { tls: { ca } }) })
  return async (url, { isOptional = false } = {}) => {
    const { protocol } = new URL(url)
    // A token is never sent unencrypted, whatever the issuer's name.
    if (protocol !== 'https:' && (secure || token || protocol !== 'http:')) throw notHttps(url)
    const http = await client()
    const { status, data } = await http.get<string>(url, {
      headers: { accept: 'application/json', ...(token && { authorization: `Bearer ${await token()}` }) },
      responseType: 'text',
      shared: true,
    })
    if (status === 404 && isOptional) return undefined
    if (status !== 200) throw unexpectedAnswer(PEER, status, `GET ${url}`)
    const keys = parse(url, data)
    if (typeof keys !== 'object' || keys === null) throw unexpectedAnswer(PEER, 200, `GET ${url} is not JSON`)
    return keys
  }
}

/**
 * Parses a JWKS. Numbers that JavaScript cannot represent are accepted, because a key contains no numbers that matter.
 */
function parse(url: string, text: string): unknown {
  try {
    return readJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    if (error.code === 'malformed_json') return undefined
    throw unexpectedAnswer(PEER, 200, `GET ${url}: ${error.message}`)
  }
}
