/*
 * Which URLs may carry what one service trusts of another: credentials, tokens, keys, and the state that decides about
 * them. An attacker who can read or change these on the network can act as the services.
 */

/** The remedies that every refusal names. */
const REMEDY =
  'use an https URL, or set MESH to the name of the mesh that encrypts and authenticates this connection (e.g. MESH=istio)'
const REDIS_REMEDY =
  'use rediss:// (TLS) with a password, e.g. in REDIS_PASSWORD_FILE, or set MESH to the name of the mesh that encrypts and authenticates this connection'

/** The name of a service mesh: `istio`, `linkerd`, … */
const MESH_NAME = /^[a-z][a-z0-9-]{0,62}$/

/**
 * Reads the value of `MESH`: the mesh whose sidecars or node proxies give every connection of this service mutual TLS.
 * With it the operator asserts that; a service cannot see it.
 * @throws if the value is not a name, e.g. `true`
 */
export function meshNamed(value: string): string {
  if (!MESH_NAME.test(value) || ['true', 'false', 'yes', 'no', 'on', 'off', 'none'].includes(value))
    throw new Error('must be the name of a mesh, e.g. istio or linkerd')
  return value
}

/**
 * Returns why a URL must not be used on a path of trust, or `undefined`: it is neither https nor on this machine.
 * @param url absolute; anything that is not http or https is refused too, e.g. `file:`
 */
export function plainUrlProblem(url: string): string | undefined {
  return isPlainUrl(url) ? `is not encrypted, which NODE_ENV=production does not allow: ${REMEDY}` : undefined
}

/** Returns whether an absolute URL is neither https nor on this machine. */
function isPlainUrl(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname))
}

/** An issuer and where its keys are, or the names of the variables that contain them. */
export interface KeySource {
  readonly issuer?: string | undefined
  readonly jwksUrl?: string | undefined
  /** Instead of a URL. */
  readonly jwksFile?: string | undefined
}

/** Also without an empty query or fragment, and without what only a template of a URL contains, e.g. `{tenantid}` of Entra. */
const DISCOVERABLE = /^https?:\/\/[^\s?#{}<>"\\^`|/@]+(?:\/[^\s?#{}<>"\\^`|]*)?$/i

/** Returns what is wrong with the name of an issuer, apart from encryption. */
function issuerNameProblem(names: KeySource, { issuer, jwksUrl, jwksFile }: KeySource): string | undefined {
  if (issuer === undefined) return undefined
  const shown = `but is ${JSON.stringify(issuer.replace(/\/\/[^/]*@/, '//'))}`
  if (issuer.trim() !== issuer)
    return `${names.issuer} must be exactly the iss of its tokens, without white space around it, ${shown}`
  if (jwksUrl !== undefined || jwksFile !== undefined) return undefined
  if (DISCOVERABLE.test(issuer) && URL.canParse(issuer)) return undefined
  // In a file, the place of the issuer already names the entry.
  const others = [names.jwksUrl, names.jwksFile].flatMap((name) => name?.split('.').at(-1) ?? [])
  const unless = others.length === 0 ? '' : `, unless ${others.join(' or ')} is set`
  return `${names.issuer} must be an http or https URL without query, fragment, credentials, spaces and placeholders, because the keys are discovered at it${unless}, ${shown}`
}

/**
 * Returns why the keys of an issuer must not be loaded so, in development too: the issuer and the URL of its keys must be
 * encrypted, or on this machine or in a mesh, and the keys of an https issuer never come over http (`issuerKeys` would refuse
 * that with the first token). With a file, an issuer is only a name; with a URL of its keys, so is one that is no http URL, e.g.
 * a URN. With neither, the keys are discovered at the issuer, so it must be a URL as in RFC 8414 §2.
 * @param names the variables, or the places in a file, that name them
 */
export function keySourceProblems(names: KeySource, source: KeySource, inMesh: boolean): string[] {
  const wrongName = issuerNameProblem(names, source)
  if (wrongName !== undefined) return [wrongName]
  const { issuer = '', jwksUrl = '', jwksFile } = source
  if (jwksFile !== undefined) return []
  if (/^https:/i.test(issuer) && /^http:/i.test(jwksUrl) && URL.canParse(jwksUrl))
    return [
      `${names.jwksUrl} must be an https URL, because the issuer is one (${JSON.stringify(issuer)}), ${butIs(jwksUrl)}`,
    ]
  if (inMesh) return []
  const problems = [
    ...(/^http:/i.test(issuer) ? [unencryptedProblem(`${names.issuer}`, issuer)] : []),
    unencryptedProblem(`${names.jwksUrl}`, jwksUrl),
  ]
  return problems.filter((problem) => problem !== undefined)
}

/**
 * Returns why a URL must not be used without a mesh, in development too, or `undefined`.
 * @param harm what is possible if it is not encrypted
 */
export function unencryptedProblem(
  where: string,
  url: string,
  harm = 'anyone on the network can replace its keys and sign tokens',
): string | undefined {
  if (!URL.canParse(url) || !isPlainUrl(url)) return undefined
  return `${where} is not encrypted, so ${harm}: ${REMEDY}, ${butIs(url)}`
}

/** The end of a problem. */
export const butIs = (url: string): string => `but is ${JSON.stringify(withoutCredentials(url))}`

/**
 * Returns why an issuer must not be trusted by this name, or `undefined`. A name that is no http URL, e.g. a URN, says
 * nothing about the transport.
 */
export const plainIssuerProblem = (issuer: string): string | undefined =>
  /^http:/i.test(issuer) && URL.canParse(issuer) ? plainUrlProblem(issuer) : undefined

/** Returns why a URL of Redis must not be used, or `undefined`. All nodes of a Sentinel or cluster URL are judged. */
export function plainRedisProblem(url: string): string | undefined {
  const match = /^redis(s?)(?:-sentinel|-cluster)?:\/\/(?:([^@/]*)@)?([^/?#]*)/i.exec(url)
  const [, tls, credentials = '', nodes = ''] = match ?? []
  if (nodes.split(',').every((node) => isLoopback(node.replace(/:\d+$/, '')))) return undefined
  const faults = [
    ...(tls ? [] : ['is not encrypted']),
    // Without a colon, some clients read a password and others a user.
    ...(/:./.test(credentials) ? [] : ['has no password']),
  ]
  if (faults.length === 0) return undefined
  return `${faults.join(' and ')}, which NODE_ENV=production does not allow: ${REDIS_REMEDY}`
}

/** Returns a URL as it may be shown: without a user and a password. */
export function withoutCredentials(url: string): string {
  const shown = new URL(url)
  if (shown.username === '' && shown.password === '') return url
  shown.username = ''
  shown.password = ''
  return shown.href
}

/** Returns whether only this machine can reach an address; an IPv6 address may be in brackets. */
export function isLoopback(host: string): boolean {
  return /^(localhost|::1|\[::1\]|127\.\d+\.\d+\.\d+)$/.test(host)
}

/** Returns the host to write into a URL for a bound address, which may mean "every address". */
export function urlHost(host: string): string {
  if (['127.0.0.1', '0.0.0.0', '::', '::1'].includes(host)) return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
