import { readFile } from 'node:fs/promises'
import { JsonError, readJson } from '@hallpass/untrusted/json'
import { HttpError } from '../http/errors.ts'
import { PeerError, unexpectedAnswer } from './peer-errors.ts'
import { lazyPeerClient } from './peers.ts'

export interface IssuerKeysOptions {
  /** Exactly as in the `iss` claim of the issuer's tokens. */
  readonly issuer: string
  /** A key set on disk, in place of one that the issuer publishes. */
  readonly jwksFile?: string | undefined
  /** Where the key set is; without it, the issuer's discovery document says so. */
  readonly jwksUrl?: string | undefined
  /** The only authority whose certificates the issuer may show, as PEM; by default those that Node trusts. */
  readonly ca?: string | undefined
}

/** What a verifier's key finder needs to know of where its keys come from. */
export interface IssuerKeys {
  /** Reads the set once. */
  readonly load: () => Promise<unknown>
  /** How long a set is used, and how soon after a failure it is read again, where the key finder's own times do not fit. */
  readonly maxAgeMs?: number
  readonly cooldownMs?: number
}

const PEER = 'issuer'
/** A file is read again when it is this old, so a rotation on disk counts within seconds and needs no watcher. */
const OF_A_FILE = { maxAgeMs: 4_000, cooldownMs: 1_000 }

/**
 * Returns where the key set (JWKS) of an OpenID provider or any other issuer of JWTs is read: the one way for every
 * verifier, `remoteKeys({ issuer, ...issuerKeys(…), clock })`.
 *
 * The keys are refused when the issuer calls itself by another name than it was configured with, because they would then
 * vouch for somebody else (OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3); and when an issuer with an https name hands
 * them out in the clear, where anybody on the way could put keys of their own in their place (RFC 8725 §3.10).
 * @throws {PeerError} when the issuer cannot be asked, or what it says cannot be used
 * @throws {HttpError} 503 `keys_unusable` when the file cannot be read
 */
export function issuerKeys({ issuer, jwksFile, jwksUrl, ca }: IssuerKeysOptions): IssuerKeys {
  if (jwksFile !== undefined) return { load: () => keySetIn(jwksFile, issuer), ...OF_A_FILE }
  const load = jsonLoader(issuer, ca)
  if (jwksUrl !== undefined) return { load: () => load(jwksUrl) }
  const discovery = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const discover = async () => {
    const metadata = (await load(discovery)) as { issuer?: unknown; jwks_uri?: unknown }
    if (metadata.issuer !== issuer)
      throw unexpectedAnswer(PEER, 200, `it calls itself ${JSON.stringify(metadata.issuer)}, not ${issuer}`)
    if (typeof metadata.jwks_uri !== 'string' || !URL.canParse(metadata.jwks_uri))
      throw unexpectedAnswer(PEER, 200, 'its discovery document names no jwks_uri')
    return load(metadata.jwks_uri)
  }
  return { load: discover }
}

async function keySetIn(file: string, issuer: string): Promise<unknown> {
  try {
    return readJson(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new HttpError(503, 'keys_unusable', `The keys of ${issuer} cannot be read.`, { cause })
  }
}

function jsonLoader(issuer: string, ca: string | undefined): (url: string) => Promise<unknown> {
  const secure = issuer.startsWith('https:')
  const client = lazyPeerClient({ peer: PEER, ...(ca === undefined ? {} : { tls: { ca } }) })
  return async (url) => {
    const { protocol } = new URL(url)
    if (protocol !== 'https:' && (secure || protocol !== 'http:'))
      throw new PeerError(
        PEER,
        502,
        'peer_not_trusted',
        `${PEER} at ${new URL(url).origin} is not trusted (${url} is not an https URL).`,
      )
    const http = await client()
    const { status, data } = await http.get<string>(url, {
      headers: { accept: 'application/json' },
      responseType: 'text',
      shared: true,
    })
    if (status !== 200) throw unexpectedAnswer(PEER, status, `GET ${url}`)
    const keys = parse(url, data)
    if (typeof keys !== 'object' || keys === null) throw unexpectedAnswer(PEER, 200, `GET ${url} is not JSON`)
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
    throw unexpectedAnswer(PEER, 200, `GET ${url}: ${error.message}`)
  }
}
