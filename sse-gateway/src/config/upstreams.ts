import { validateHeaderName, validateHeaderValue } from 'node:http'
import { explainKeyFile } from '@hallpass/callers'
import { explainSecretFile } from '@hallpass/private-files'
import type { VariableReader } from '@hallpass/service-kit'
import { SIGNATURE_ALGORITHMS } from '@hallpass/tokens'
import * as z from 'zod'

export const httpUrl = z.url({ protocol: /^https?$/ })
const name = z.string().min(1)

/** Headers that this gateway sets itself, or that belong to the connection (RFC 9110 §7.6.1). */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'cache-control',
  'connection',
  'content-length',
  'content-type',
  'host',
  'keep-alive',
  'last-event-id',
  'te',
  'traceparent',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** Headers whose values are secrets. */
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization'])

const headerName = z.string().toLowerCase()
const headerValue = z.string().refine(isHeaderValue, { error: 'must be the value of a header' })

/** How this gateway authenticates at a token endpoint, for a token of its own (RFC 6749 §4.4). */
const tokenFields = {
  /** The token endpoint. */
  url: httpUrl,
  clientId: name,
  scope: name.optional(),
  /** RFC 8693 §2.1, as jwt-factory and several providers accept it. */
  audience: name.optional(),
  /** RFC 8707. */
  resource: name.optional(),
  caFile: name.optional(),
}
const tokenRule = z.discriminatedUnion('method', [
  z.strictObject({ ...tokenFields, method: z.literal('client_secret_basic'), secretFile: name }),
  z.strictObject({
    ...tokenFields,
    method: z.literal('private_key_jwt'),
    /** The issuer's name: the only audience of the assertions (draft-ietf-oauth-rfc7523bis §4). */
    issuer: name,
    keyFile: name,
    algorithm: z.enum(SIGNATURE_ALGORITHMS).default('ES256'),
    /** The `kid` of the assertions; by default the thumbprint of the key. */
    keyId: name.optional(),
  }),
  z.strictObject({ ...tokenFields, method: z.literal('tls_client_auth'), certFile: name, keyFile: name }),
])

const upstreamObject = z
  .strictObject({
    url: httpUrl,
    caFile: name.optional(),
    /** The certificate with which this gateway connects. */
    certFile: name.optional(),
    keyFile: name.optional(),
    headers: z.record(headerName, headerValue).optional(),
    /** Headers whose values are in files, so that no secret is in this one. */
    headerFiles: z.record(headerName, name).optional(),
    token: tokenRule.optional(),
  })
  .check(({ value, issues }) => {
    const refuse = (message: string, path: string[] = []) =>
      issues.push({ code: 'custom', input: value, path, message })
    const { url, certFile, keyFile, headers = {}, headerFiles = {}, token } = value
    if ((certFile === undefined) !== (keyFile === undefined)) refuse('needs certFile and keyFile together')
    if (certFile !== undefined && url.startsWith('http:')) refuse('needs an https url for a certificate')
    for (const [member, names] of Object.entries({ headers, headerFiles }))
      for (const header of Object.keys(names))
        if (!isHeaderName(header))
          refuse('must be the name of a header that the gateway does not set itself', [member, header])
    for (const header of Object.keys(headers)) {
      if (SECRET_HEADERS.has(header)) refuse('is a secret: use headerFiles', ['headers', header])
      if (Object.hasOwn(headerFiles, header)) refuse('is in headers, too', ['headerFiles', header])
    }
    if (token && Object.hasOwn(headerFiles, 'authorization'))
      refuse('is the header of the token', ['headerFiles', 'authorization'])
  })

/** What an upstream needs: a URL, or an object with a URL and credentials. */
export const upstreamRule = z.preprocess(
  (input) => (typeof input === 'string' ? { url: input } : input),
  upstreamObject,
)

type UpstreamRule = z.infer<typeof upstreamObject>

/** Returns a rule with the names of its files relative to `atFile`. */
export function resolveUpstream(rule: UpstreamRule, atFile: (name: string) => string): UpstreamRule {
  const { headerFiles, token } = rule
  return {
    ...withFiles(rule, atFile),
    ...(headerFiles && {
      headerFiles: Object.fromEntries(
        Object.entries(headerFiles).map(([header, file]) => [header, atFile(file)]),
      ),
    }),
    ...(token && { token: withFiles(token, atFile) }),
  }
}

function withFiles<T extends object>(rule: T, atFile: (name: string) => string): T {
  return Object.fromEntries(
    Object.entries(rule).map(([key, value]) => [
      key,
      typeof value === 'string' && key.endsWith('File') ? atFile(value) : value,
    ]),
  ) as T
}

const sendsSecrets = ({ headers, headerFiles, token }: UpstreamRule) =>
  (headers ?? headerFiles ?? token) !== undefined

/** Reports a URL to which the credentials of an upstream are sent, but not encrypted. */
export function checkUpstreamUrl(
  variables: VariableReader,
  where: string,
  url: string,
  rule: UpstreamRule,
): void {
  if (sendsSecrets(rule))
    variables.requireEncrypted(where, url, 'anyone on the network can read its credentials')
  else variables.requireTrusted(where, url)
}

/** Reports the problems of a rule: secrets that are not encrypted on the network, and files of secrets that are not private. */
export function checkUpstream(variables: VariableReader, where: string, rule: UpstreamRule): void {
  const { url, keyFile, headerFiles = {}, token } = rule
  checkUpstreamUrl(variables, sendsSecrets(rule) ? `${where}.url` : where, url, rule)
  const refuse = (key: string, file: string, problem: string | undefined) =>
    variables.require(problem === undefined, `${where}.${key} ${file}: ${problem}`)
  const checkSecret = (key: string, file: string, secret: string) =>
    refuse(key, file, explainSecretFile(file, secret))
  if (keyFile !== undefined) checkSecret('keyFile', keyFile, 'the private key of the certificate')
  for (const [header, file] of Object.entries(headerFiles))
    checkSecret(`headerFiles.${header}`, file, 'the value of the header')
  if (!token) return
  variables.requireEncrypted(`${where}.token.url`, token.url, 'anyone on the network can read its tokens')
  if (token.method === 'client_secret_basic')
    checkSecret('token.secretFile', token.secretFile, 'the client secret')
  else if (token.method === 'private_key_jwt')
    refuse(
      'token.keyFile',
      token.keyFile,
      explainKeyFile(token.keyFile, token.algorithm, `${where}.token.algorithm`),
    )
  else {
    variables.require(token.url.startsWith('https:'), `${where}.token.url must be https for tls_client_auth`)
    checkSecret('token.keyFile', token.keyFile, 'the private key of the certificate')
  }
}

function isHeaderName(header: string): boolean {
  try {
    validateHeaderName(header)
    return !OWN_HEADERS.has(header)
  } catch {
    return false
  }
}

function isHeaderValue(value: string): boolean {
  try {
    validateHeaderValue('x', value)
    return true
  } catch {
    return false
  }
}
