import { isLoopback, plainUrlProblem } from '@hallpass/service-kit'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '@hallpass/tokens'
import type { Finding } from '../finding.ts'
import { accepting } from './excluded-algorithms.ts'
import type { JsonObject } from './read-json.ts'

/** The values of CLIENT_AUTH that every provider can be given, the preferred first; the others need files of a platform. */
const CLIENT_AUTH = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'] as const
export type ClientAuth = (typeof CLIENT_AUTH)[number]

/** What the web UI asks for by default. */
const SCOPES = ['openid', 'profile', 'email', 'offline_access']

const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'jwks_uri',
  'userinfo_endpoint',
  'end_session_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
] as const
export type Endpoints = Partial<Record<(typeof ENDPOINTS)[number], string>>

/** What does not work without an endpoint that a provider may lack. */
const WITHOUT: Partial<Record<keyof Endpoints, string>> = {
  userinfo_endpoint: 'the profile shows only the claims of the ID token',
  end_session_endpoint:
    'logging out ends only the session of the web UI; the next login may need no password',
  revocation_endpoint: 'logging out cannot revoke the refresh token',
  introspection_endpoint: 'the backends and the SSE gateway cannot verify opaque access tokens, only JWTs',
}

export interface Context {
  readonly issuer: string
  readonly kind: 'openid' | 'oauth'
  /** Whether users are to log in at the web UI: a missing endpoint is then a problem. */
  readonly hasLogin: boolean
  /** The algorithms that the verifiers of the suite accept. */
  readonly algorithms: readonly SignatureAlgorithm[]
}

/** What the rest of the diagnosis needs of the metadata. */
export interface Examined {
  readonly findings: readonly Finding[]
  readonly endpoints: Endpoints
  readonly clientAuth: ClientAuth | undefined
  readonly scope: string
  /** The algorithms of ID tokens that both sides know; undefined if the provider lists none. */
  readonly signing: readonly SignatureAlgorithm[] | undefined
}

export function examineMetadata(metadata: JsonObject, context: Context): Examined {
  const endpoints = endpointsOf(metadata)
  const auth = clientAuthOf(metadata)
  const scopes = stringsIn(metadata.scopes_supported)
  const signing = stringsIn(metadata.id_token_signing_alg_values_supported)
  return {
    endpoints,
    clientAuth: auth.method,
    scope: SCOPES.filter((name) => name === 'openid' || scopes?.includes(name) !== false).join(' '),
    signing: signing && context.algorithms.filter((name) => signing.map(withoutAlias).includes(name)),
    findings: [
      ...transportFindings(metadata, context),
      ...keyFindings(endpoints),
      ...(context.hasLogin
        ? loginFindings(metadata, endpoints, auth, scopes, signing, context)
        : withoutLogin(context)),
      ...(context.kind === 'openid' || context.hasLogin ? optionalFindings(metadata, endpoints) : []),
    ],
  }
}

/** RFC 9864 renamed EdDSA with Ed25519. */
const withoutAlias = (name: string) => (name === 'Ed25519' ? 'EdDSA' : name)

/** Returns the strings of a list; undefined if there is none. */
export function stringsIn(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : undefined
}

/** Lists at most ten published values, each shortened. */
const list = (values: readonly string[]) =>
  values.length === 0
    ? 'nothing'
    : `${values
        .slice(0, 10)
        .map((value) => value.slice(0, 40))
        .join(', ')}${values.length > 10 ? ', …' : ''}`

function endpointsOf(metadata: JsonObject): Endpoints {
  return Object.fromEntries(
    ENDPOINTS.flatMap((name) => {
      const url = metadata[name]
      return typeof url === 'string' && /^https?:\/\//i.test(url) && URL.canParse(url) ? [[name, url]] : []
    }),
  )
}

function transportFindings(metadata: JsonObject, { issuer }: Context): Finding[] {
  const findings: Finding[] = []
  const endpoints = endpointsOf(metadata)
  const { origin, hostname } = new URL(issuer)
  if (plainUrlProblem(issuer) !== undefined)
    findings.push({
      state: 'bad',
      what: `The issuer ${issuer} is not encrypted: anyone on the network can replace its keys; services do not start with it`,
      remedy:
        'At the provider: an https URL. In a mesh that encrypts this connection: MESH=NAME, e.g. MESH=istio, for every service.',
    })
  for (const name of ENDPOINTS) {
    const url = endpoints[name]
    if (url === undefined && metadata[name] !== undefined && metadata[name] !== null)
      findings.push({
        state: 'bad',
        what: `${name} is not an http or https URL: ${String(JSON.stringify(metadata[name])).slice(0, 80)}`,
        remedy: 'At the provider: an absolute https URL.',
      })
    if (url === undefined || url.startsWith('https:')) continue
    if (issuer.startsWith('https:') || (isLoopback(hostname) && !isLoopback(new URL(url).hostname)))
      findings.push({
        state: 'bad',
        what: `${name} is not encrypted, unlike the issuer: ${url}; the services do not call it`,
        remedy:
          'At the provider: set its external URL to https, e.g. let it trust X-Forwarded-Proto of its proxy.',
      })
  }
  const others = [...new Set(Object.values(endpoints).map((url) => new URL(url).origin))].filter(
    (one) => one !== origin,
  )
  if (others.length > 0)
    findings.push({
      state: 'note',
      what: `Endpoints are also at ${list(others)}`,
      remedy: 'Network policies and firewalls must allow these hosts too.',
    })
  return findings
}

const keyFindings = ({ jwks_uri }: Endpoints): Finding[] =>
  jwks_uri === undefined
    ? [
        {
          state: 'bad',
          what: 'There is no jwks_uri: no service can verify a token',
          remedy: 'JWKS_URL=URL of the keys, for every service, if the provider has one.',
        },
      ]
    : []

const withoutLogin = ({ kind }: Context): Finding[] =>
  kind === 'oauth'
    ? []
    : [
        {
          state: 'note',
          what: 'There is no authorization_endpoint: no login at the web UI; services can verify the tokens of this issuer',
          remedy: 'If users are to log in: another issuer, or check this one with --client-id ID.',
        },
      ]

interface Auth {
  readonly offered: readonly string[]
  readonly method: ClientAuth | undefined
}

/** The default is RFC 8414 §2. */
function clientAuthOf(metadata: JsonObject): Auth {
  const offered = stringsIn(metadata.token_endpoint_auth_methods_supported) ?? ['client_secret_basic']
  return { offered, method: CLIENT_AUTH.find((name) => offered.includes(name)) }
}

function loginFindings(
  metadata: JsonObject,
  endpoints: Endpoints,
  auth: Auth,
  scopes: readonly string[] | undefined,
  signing: readonly string[] | undefined,
  { kind, algorithms }: Context,
): Finding[] {
  const findings: Finding[] = []
  const bad = (what: string, remedy: string) => findings.push({ state: 'bad', what, remedy })
  const note = (what: string, remedy?: string) =>
    findings.push({ state: 'note', what, ...(remedy === undefined ? {} : { remedy }) })
  const has = (member: string) => stringsIn(metadata[member])

  if (kind === 'oauth')
    bad(
      'There is no OpenID configuration: the web UI cannot log in anyone here',
      'Use an OpenID provider as ISSUER_BASE_URL; this issuer fits only services that verify its tokens.',
    )
  for (const name of ['authorization_endpoint', 'token_endpoint'] as const)
    if (endpoints[name] === undefined)
      bad(
        `There is no ${name}: the web UI cannot log in anyone here`,
        'At the provider: enable the authorization code flow.',
      )

  const types = has('response_types_supported')
  if (types && !types.includes('code'))
    bad(
      `The response type code is not offered, only ${list(types)}: the web UI uses the authorization code flow`,
      'At the provider: allow the authorization code flow (standard flow) for the client.',
    )
  const modes = has('response_modes_supported')
  if (modes && !modes.includes('query'))
    bad(
      `The response mode query is not offered, only ${list(modes)}`,
      'At the provider: allow the response mode query.',
    )
  const grants = has('grant_types_supported')
  if (grants && !grants.includes('authorization_code'))
    bad(
      `The grant type authorization_code is not offered, only ${list(grants)}`,
      'At the provider: enable it.',
    )
  if (grants && !grants.includes('refresh_token'))
    note(
      'The grant type refresh_token is not offered: sessions end when the access token expires',
      'At the provider: enable refresh tokens for the client.',
    )

  const pkce = has('code_challenge_methods_supported')
  if (pkce === undefined)
    note(
      'PKCE is not announced (code_challenge_methods_supported); the web UI always sends an S256 challenge, which a server must ignore if it does not know it',
    )
  else if (!pkce.includes('S256'))
    bad(
      `PKCE with S256 is not offered, only ${list(pkce)}; the web UI always uses S256 (RFC 7636 §4.2)`,
      'At the provider: allow the code challenge method S256 for the client.',
    )
  else findings.push({ state: 'good', what: 'The code flow with PKCE (S256) is offered' })

  for (const [member, what] of [
    ['require_pushed_authorization_requests', 'pushed authorization requests (RFC 9126)'],
    ['require_signed_request_object', 'signed request objects (RFC 9101)'],
  ] as const)
    if (metadata[member] === true)
      bad(
        `The provider requires ${what}, which the web UI does not use`,
        'At the provider: do not require it for this client.',
      )

  if (auth.method === undefined)
    bad(
      `No offered way to authenticate the client fits: ${list(auth.offered)}; CLIENT_AUTH can be ${CLIENT_AUTH.join(', ')}`,
      'At the provider: allow one of them for the client.',
    )
  else if (auth.method !== 'client_secret_basic')
    note(
      `The client cannot authenticate with client_secret_basic, the default, only with ${list(auth.offered)}`,
      `For the web UI: CLIENT_AUTH=${auth.method}`,
    )

  if (signing === undefined) {
    if (kind === 'openid')
      note('The algorithms of ID tokens are not announced (id_token_signing_alg_values_supported)')
  } else {
    const known = signing.map(withoutAlias).filter((name) => (algorithms as readonly string[]).includes(name))
    const excluded = SIGNATURE_ALGORITHMS.filter(
      (name) => !algorithms.includes(name) && signing.map(withoutAlias).includes(name),
    )
    const unknown = signing.filter(
      (name) => !(SIGNATURE_ALGORITHMS as readonly string[]).includes(withoutAlias(name)),
    )
    const chosen = `At the provider: choose ${known.includes('RS256') ? 'RS256' : known[0]} for the client.`
    if (known.length === 0 && excluded.length > 0)
      bad(
        `ID tokens are signed with ${list(excluded)}, which TOKEN_ALGORITHMS excludes`,
        `For every service: ${accepting(excluded)}`,
      )
    else if (known.length === 0)
      bad(
        `ID tokens are signed with ${list(signing)}, which no service accepts${signing.some((name) => /^HS/.test(name)) ? ' (with HMAC, every verifier could also sign)' : ''}`,
        'At the provider: sign ID tokens and access tokens of this client with RS256, ES256 or EdDSA.',
      )
    else {
      if (unknown.length > 0)
        note(`ID tokens may be signed with ${list(unknown)}, which no service accepts`, chosen)
      if (excluded.length > 0)
        note(
          `ID tokens may be signed with ${list(excluded)}, which TOKEN_ALGORITHMS excludes`,
          `${chosen} Otherwise, for every service: ${accepting(excluded)}`,
        )
    }
  }

  if (scopes && !scopes.includes('openid'))
    bad(
      'The scope openid is not offered: there are no ID tokens',
      'At the provider: enable OpenID Connect for the client.',
    )
  const missing = SCOPES.filter((name) => name !== 'openid' && scopes?.includes(name) === false)
  if (missing.length > 0)
    note(
      `Scopes are not announced that the web UI asks for by default: ${missing.join(', ')}${missing.includes('offline_access') ? ' (without a refresh token, sessions end with the access token)' : ''}`,
      `If the provider rejects them, for the web UI: SCOPE="${SCOPES.filter((name) => !missing.includes(name)).join(' ')}"`,
    )
  return findings
}

function optionalFindings(metadata: JsonObject, endpoints: Endpoints): Finding[] {
  const findings: Finding[] = []
  if (endpoints.authorization_endpoint === undefined) return findings
  for (const [name, effect] of Object.entries(WITHOUT))
    if (endpoints[name as keyof Endpoints] === undefined)
      findings.push({ state: 'note', what: `There is no ${name}: ${effect}` })
  if (metadata.backchannel_logout_supported !== true)
    findings.push({
      state: 'note',
      what: 'Back-channel logout is not announced: a logout elsewhere ends the session of the web UI only when its next refresh fails',
      remedy: 'For the web UI: a shorter SESSION_MAX_S limits that time.',
    })
  if (metadata.authorization_response_iss_parameter_supported !== true)
    findings.push({
      state: 'note',
      what: 'The authorization response does not name its issuer (iss, RFC 9207); that protects clients of several providers, and the web UI has one',
    })
  return findings
}
