import { PeerError } from '@hallpass/service-kit'
import { lazyPeerClient } from '@hallpass/service-kit/peers'
import { JsonError, readJson } from '@hallpass/untrusted/json'
import { CLOSED, NO_TLS } from '../../connection-failure.ts'
import { reasonOf } from '../../failure.ts'
import type { Finding } from '../finding.ts'

/** Long enough to measure an issuer for which the services do not wait. */
const TIMEOUT_MS = 10_000
/** How long a service waits for a discovery document or a key set: half of the five seconds that a request may take. */
const SERVICE_TIMEOUT_MS = 2_500
/** A tenth of a second is usual between continents; a slower answer delays the first request after every restart. */
const SLOW_MS = 1_000
/** How many characters of an answer that is not JSON a finding shows. */
const SHOWN_CHARACTERS = 60

export type JsonObject = Readonly<Record<string, unknown>>

/** The answer of an issuer: a JSON object, or the findings that explain why there is none. */
export interface Read {
  readonly url: string
  readonly status?: number
  readonly json?: JsonObject
  readonly headers: Readonly<Record<string, unknown>>
  /** When the request was sent and when the answer was complete, in milliseconds since the epoch. */
  readonly sentAt: number
  readonly receivedAt: number
  readonly findings: readonly Finding[]
}

export interface ReaderOptions {
  /** The CAs that are trusted, as PEM; by default those that Node trusts. */
  readonly ca?: string | undefined
  readonly clock: () => number
  readonly env: Readonly<Record<string, string | undefined>>
  /** From the request to the last byte of the answer. */
  readonly timeoutMs?: number
}

/** Reads one JSON document with one GET request. It follows no redirects, as the services do not either. */
export type Reader = (url: string) => Promise<Read>

export function createReader({ ca, clock, env, timeoutMs = TIMEOUT_MS }: ReaderOptions): Reader {
  const client = lazyPeerClient({
    peer: 'issuer',
    timeoutMs,
    ...(ca === undefined ? {} : { tls: { ca } }),
  })
  return async (url) => {
    const sentAt = clock()
    const started = performance.now()
    const failed = (finding: Omit<Finding, 'state'>): Read => ({
      url,
      headers: {},
      sentAt,
      receivedAt: clock(),
      findings: [{ state: 'bad', ...finding }],
    })
    let answer: { status: number; data: string; headers: object }
    try {
      const http = await client()
      answer = await http.get<string>(url, {
        headers: { accept: 'application/json' },
        responseType: 'text',
      })
    } catch (error) {
      return failed(noAnswer(url, error, env, timeoutMs))
    }
    const slow = slowness(url, performance.now() - started)
    const { status, data } = answer
    const headers = answer.headers as Read['headers']
    const { json, finding } = status === 200 ? parse(url, data, headers) : notOk(url, status, headers)
    return {
      ...{ url, status, headers, sentAt, receivedAt: clock() },
      ...(json ? { json } : {}),
      findings: finding ? [...slow, finding] : slow,
    }
  }
}

/** Either the object, or why there is none. */
interface Parsed {
  readonly json?: JsonObject
  readonly finding?: Finding
}

const refused = (what: string, remedy: string): Parsed => ({ finding: { state: 'bad', what, remedy } })

function slowness(url: string, tookMs: number): Finding[] {
  const seconds = (tookMs / 1000).toFixed(1)
  if (tookMs > SERVICE_TIMEOUT_MS)
    return [
      {
        state: 'bad',
        what: `${url} answered after ${seconds} s; the services wait for ${SERVICE_TIMEOUT_MS / 1000} s`,
        remedy:
          'At the provider, or on the way to it (proxy, DNS): find what is slow. curl -w "%{time_total}" shows it.',
      },
    ]
  return tookMs > SLOW_MS
    ? [{ state: 'note', what: `${url} answered after ${seconds} s, which is slow` }]
    : []
}

function parse(url: string, text: string, headers: Read['headers']): Parsed {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    return refused(
      `${url} is compressed (${String(encoding)}), although the request does not allow it`,
      'At the provider or its proxy: compress only for requests with Accept-Encoding (RFC 9110 §12.5.3).',
    )
  try {
    const json: unknown = readJson(text)
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return { json: json as JsonObject }
    return refused(`${url} is not a JSON object`, wrongPlace)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    if (error.code !== 'malformed_json')
      return refused(`${url}: ${error.message}`, 'At the provider: publish valid, unambiguous JSON.')
    const start = text.trim().slice(0, SHOWN_CHARACTERS)
    const found = start === '' ? 'empty' : `${start.startsWith('<') ? 'HTML or XML' : 'this'}: ${start}`
    return refused(`${url} is not JSON but ${found}`, wrongPlace)
  }
}

const wrongPlace =
  'Check the URL: an error page, a login page or a web site answers here. The issuer is in the documentation of the provider, and in the `iss` of its tokens.'

function notOk(url: string, status: number, { location }: Read['headers']): Parsed {
  if (status >= 300 && status < 400 && typeof location === 'string') {
    const target = URL.canParse(location, url) ? new URL(location, url).href : location
    const issuer = target.replace(/\/\.well-known\/openid-configuration$/, '')
    return refused(
      `${url} redirects to ${target}; the services follow no redirect`,
      issuer === target
        ? wrongPlace
        : `If that is your provider, its issuer may be ${issuer}. Try: hallpass doctor --issuer with it`,
    )
  }
  return refused(
    `${url} answers ${status}`,
    status >= 500 ? 'At the provider: look for the cause in its log.' : wrongPlace,
  )
}

/** Codes of OpenSSL for a certificate that no trusted CA signed. */
const UNKNOWN_CA =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/
function noAnswer(
  url: string,
  error: unknown,
  env: ReaderOptions['env'],
  timeoutMs: number,
): Omit<Finding, 'state'> {
  const { origin, hostname } = new URL(url)
  const reason = reasonOf(error)
  const code = error instanceof PeerError ? error.code : ''
  if (code === 'peer_answer_too_long')
    return { what: `${url} is larger than 1 MiB, the limit of the services`, remedy: wrongPlace }
  if (code === 'peer_timeout')
    return {
      what: `${url} did not answer completely within ${timeoutMs / 1000} s`,
      remedy: `Check that this machine may connect to ${origin} (firewall, network policy).${proxyAdvice(env)}`,
    }
  if (NO_TLS.test(reason))
    return {
      what: `${origin} does not speak TLS (${reason})`,
      remedy: `Check the port. If the provider really has no TLS: ${url.replace(/^https:/, 'http:')}`,
    }
  if (UNKNOWN_CA.test(reason))
    return {
      what: `The certificate of ${origin} is not signed by a trusted CA (${reason})`,
      remedy:
        reason === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
          ? 'At the provider: send the intermediate certificates too. For a private CA: NODE_EXTRA_CA_CERTS=ca.pem for every service; --ca ca.pem here.'
          : 'For a private CA: NODE_EXTRA_CA_CERTS=ca.pem for every service; --ca ca.pem here.',
    }
  if (code === 'peer_not_trusted')
    return {
      what: `${origin} failed TLS verification (${reason})`,
      remedy: tlsRemedy(reason, hostname),
    }
  if (reason === 'ENOTFOUND' || reason === 'EAI_AGAIN')
    return {
      what: `The name ${hostname} cannot be resolved (${reason})`,
      remedy: `Check the spelling of the host, and the DNS of this machine: getent hosts ${hostname}${proxyAdvice(env)}`,
    }
  if (CLOSED.test(reason))
    return {
      what: `${origin} closed the connection without an answer (${reason})`,
      remedy: `Check the port and the scheme. If the provider has TLS: https.${proxyAdvice(env)}`,
    }
  if (code === 'peer_unexpected_answer')
    return { what: `${origin} does not speak HTTP (${reason})`, remedy: 'Check the port.' }
  return {
    what: `${origin} is not reachable (${reason})`,
    remedy: `Check the port, and that the provider runs.${proxyAdvice(env)}`,
  }
}

function tlsRemedy(reason: string, hostname: string): string {
  if (reason === 'CERT_HAS_EXPIRED')
    return 'At the provider: renew the certificate. If it has not expired, set the clock of this machine.'
  if (reason === 'CERT_NOT_YET_VALID')
    return 'Set the clock of this machine, or that of the machine that made the certificate.'
  if (reason === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `Use a name that the certificate has, or at the provider: a certificate for ${hostname}.`
  return 'At the provider: TLS 1.2 or later with a valid certificate.'
}

/** A browser on this machine may reach the issuer by a proxy, which the services do not use. */
const proxyAdvice = (env: ReaderOptions['env']) =>
  env.HTTPS_PROXY || env.https_proxy || env.HTTP_PROXY || env.http_proxy
    ? ' The services connect directly: they do not use the proxy of HTTPS_PROXY.'
    : ''
