import { rootCertificates } from 'node:tls'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '@hallpass/tokens'
import type { Finding } from '../finding.ts'
import { clockFindings } from './clock-findings.ts'
import { discover } from './discover.ts'
import { examineKeys, type ShownKey } from './key-findings.ts'
import { examineMetadata } from './metadata-findings.ts'
import { createReader, type ReaderOptions } from './read-json.ts'
import { type Settings, settingsFor } from './settings.ts'

export interface IssuerOptions extends ReaderOptions {
  /** Exactly as in ISSUER and ISSUER_BASE_URL. */
  readonly issuer: string
  readonly audience?: string | undefined
  /** Of the web UI: says that users are to log in. */
  readonly clientId?: string | undefined
  readonly caFile?: string | undefined
  readonly toleranceSeconds: number
  /** The configured algorithms of the services; by default all. */
  readonly algorithms?: readonly SignatureAlgorithm[] | undefined
}

export interface IssuerReport {
  readonly findings: readonly Finding[]
  /** How many GET requests were sent. */
  readonly requests: number
  /** The endpoints of the document, by name. */
  readonly endpoints: Readonly<Record<string, string>>
  readonly keys: readonly ShownKey[]
  readonly settings: Settings
}

/** Reads the metadata and the keys of an issuer, with at most three GET requests, and says what does not work with the suite. */
export async function examineIssuer(options: IssuerOptions): Promise<IssuerReport> {
  const { issuer, ca, audience, clientId, toleranceSeconds, algorithms = SIGNATURE_ALGORITHMS } = options
  let requests = 0
  const readOnce = createReader({
    ...options,
    // Like NODE_EXTRA_CA_CERTS: in addition, because the keys may be at another host than the issuer.
    ca: ca === undefined ? undefined : [...rootCertificates, ca].join('\n'),
  })
  const read = (url: string) => {
    requests += 1
    return readOnce(url)
  }
  const { kind, metadata, answers, findings } = await discover(issuer, read)
  const answered = answers.filter(({ status }) => status !== undefined)
  const clock = answered.slice(-1).flatMap((answer) => clockFindings(answer, toleranceSeconds))
  if (kind === undefined || metadata === undefined)
    return { findings: [...findings, ...clock], requests, endpoints: {}, keys: [], settings: {} }
  const hasLogin =
    clientId !== undefined || (kind === 'openid' && typeof metadata.authorization_endpoint === 'string')
  const examined = examineMetadata(metadata, { issuer, kind, hasLogin, algorithms })
  const { jwks_uri } = examined.endpoints
  const set = jwks_uri === undefined ? undefined : await read(jwks_uri)
  const examinedKeys = set?.json ? examineKeys(set, examined.signing, algorithms) : { keys: [], findings: [] }
  const all = [
    ...findings,
    ...clock,
    ...examined.findings,
    ...(set?.findings ?? []),
    ...examinedKeys.findings,
    ...(audience !== undefined && audience === clientId ? [sameAudience] : []),
  ]
  return {
    findings: all,
    requests,
    endpoints: examined.endpoints,
    keys: examinedKeys.keys,
    settings: all.some(({ state }) => state === 'bad')
      ? {}
      : settingsFor(kind, examined, { ...options, hasLogin }),
  }
}

const sameAudience: Finding = {
  state: 'note',
  what: 'The audience is the client ID, as in ID tokens: only TOKEN_USE tells them from access tokens',
  remedy:
    'At the provider: register the API with its own audience. Else check that TOKEN_USE fits its access tokens.',
}
