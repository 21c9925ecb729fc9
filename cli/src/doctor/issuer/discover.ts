import { quoted } from '@hallpass/private-files'
import type { Finding } from '../finding.ts'
import type { JsonObject, Read, Reader } from './read-json.ts'

export interface Discovery {
  /** `openid` (OpenID Connect Discovery 1.0 §4) or `oauth` (RFC 8414 §3); undefined if there is no document. */
  readonly kind?: 'openid' | 'oauth'
  readonly url?: string
  readonly metadata?: JsonObject
  /** The answer to judge the clock by. */
  readonly answers: readonly Read[]
  readonly findings: readonly Finding[]
}

const OPENID = '/.well-known/openid-configuration'
const OAUTH = '/.well-known/oauth-authorization-server'

/** Reads the metadata of an issuer: its OpenID configuration, else its OAuth metadata. At most two requests. */
export async function discover(issuer: string, read: Reader): Promise<Discovery> {
  // OpenID appends to the path of the issuer (Discovery §4.1); RFC 8414 §3.1 inserts before it.
  const openid = await read(issuer.replace(/\/$/, '') + OPENID)
  if (openid.json)
    return {
      kind: 'openid',
      url: openid.url,
      metadata: openid.json,
      answers: [openid],
      findings: [
        ...openid.findings,
        { state: 'good', what: `OpenID configuration at ${openid.url}` },
        issuerFinding(issuer, openid.json.issuer),
      ],
    }
  // Without a status, the host does not answer at all.
  if (openid.status === undefined) return { answers: [openid], findings: openid.findings }
  const { origin, pathname } = new URL(issuer)
  const oauth = await read(origin + OAUTH + pathname.replace(/\/$/, ''))
  // Every issuer has one of the two, so that one is missing is a problem only if the other is too.
  if (!oauth.json)
    return {
      answers: [openid, oauth],
      findings: [
        ...openid.findings,
        { state: 'note', what: `There is no OAuth metadata (RFC 8414) at ${oauth.url} either` },
      ],
    }
  const { jwks_uri } = oauth.json
  return {
    kind: 'oauth',
    url: oauth.url,
    metadata: oauth.json,
    answers: [oauth],
    findings: [
      // A failing OpenID configuration is not a missing one.
      ...(openid.status >= 500 ? openid.findings : []),
      ...oauth.findings,
      {
        state: 'note',
        what: `Only OAuth metadata (RFC 8414) at ${oauth.url}, no OpenID configuration: no login at the web UI, and services need JWKS_URL`,
        ...(typeof jwks_uri === 'string'
          ? { remedy: `For every service: JWKS_URL=${quoted(jwks_uri)}` }
          : {}),
      },
      issuerFinding(issuer, oauth.json.issuer),
    ],
  }
}

/** Compares the given issuer with that of the document: they must be identical (Discovery §4.3, RFC 8414 §3.3). */
function issuerFinding(given: string, named: unknown): Finding {
  if (given === named) return { state: 'good', what: `The issuer is exactly ${given}` }
  if (typeof named !== 'string')
    return {
      state: 'bad',
      what: 'The document has no issuer',
      remedy: 'At the provider: `issuer` is required (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).',
    }
  if (/[{}]/.test(named))
    return {
      state: 'bad',
      what: `The document is of many tenants: its issuer ${named} is a template, so tokens have another issuer than ${given}`,
      remedy: 'Use the URL of one tenant, with its ID in place of the name in braces.',
    }
  const how = difference(given, named)
  return {
    state: 'bad',
    what: `The document has the issuer ${named}, not ${given}: ${how.what}. Tokens have the issuer of the document, so every token is rejected`,
    remedy: how.isSameHost
      ? `ISSUER_BASE_URL and ISSUER must be exactly ${named}`
      : `If ${named} is the provider that you trust, use it as ISSUER_BASE_URL and ISSUER. Else set the external URL of the provider (proxy, host name) to ${given}.`,
  }
}

function difference(given: string, named: string): { readonly what: string; readonly isSameHost: boolean } {
  const differ = (what: string, isSameHost = true) => ({ what, isSameHost })
  if (named.replace(/\/$/, '') === given.replace(/\/$/, ''))
    return differ(named.endsWith('/') ? 'a slash at the end is missing' : 'the slash at the end is too much')
  if (!URL.canParse(named)) return differ('it is not a URL', false)
  const [a, b] = [new URL(given), new URL(named)]
  if (a.hostname !== b.hostname) return differ('another host', false)
  if (a.href.replace(/\/$/, '') === b.href.replace(/\/$/, ''))
    return differ(
      'the same URL, written differently (upper case, default port, encoding); issuers are compared as text',
    )
  if (a.protocol !== b.protocol)
    return differ(`${b.protocol.slice(0, -1)} instead of ${a.protocol.slice(0, -1)}`, false)
  if (a.port !== b.port) return differ('another port', false)
  return differ('another path')
}
