import {
  type AuthorizationPolicySpec,
  type Manifest,
  ofKind,
  type PolicyRule,
  type PolicySource,
  type RequestAuthenticationSpec,
  type Typed,
} from '@hallpass/policy-linter'

/** The workload whose filters are generated; decides which policies apply. */
export interface Workload {
  /** The Service in front of it, for policies with `targetRefs`. */
  readonly service: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

type Json = Record<string, unknown>

const PAYLOAD = 'payload'
const EVERYTHING = { any: true }

/**
 * Generates from policies the Envoy filters that Istio puts in front of a workload: `jwt_authn` from
 * RequestAuthentication, `rbac` from AuthorizationPolicy. Translates only what the files in deploy/ use and throws
 * for anything else, so that no field is silently ignored.
 * @param keySets the JWKS of each issuer, as JSON. istiod would fetch it from `jwksUri`.
 */
export function envoyFilters(
  manifests: readonly Manifest[],
  workload: Workload,
  keySets: Readonly<Record<string, string>>,
): Json[] {
  const authentications = ofKind(manifests, 'RequestAuthentication').filter((policy) =>
    appliesTo(policy, workload),
  )
  const authorizations = ofKind(manifests, 'AuthorizationPolicy').filter((policy) =>
    appliesTo(policy, workload),
  )
  const filters: Json[] = []
  if (authentications.length > 0) filters.push(jwtFilter(authentications, keySets))
  for (const action of ['DENY', 'ALLOW'] as const) {
    const policies = authorizations.filter(({ spec }) => spec.action === action)
    // Without an ALLOW policy, everything is allowed; with one, only what some rule allows.
    if (policies.length > 0) filters.push(rbacFilter(action, policies))
  }
  const unsupported = authorizations.find(({ spec }) => spec.action !== 'ALLOW' && spec.action !== 'DENY')
  if (unsupported)
    throw new Error(`${unsupported.name}: the action ${unsupported.spec.action} is not translated`)
  return filters
}

function appliesTo(
  { namespace, spec }: Typed<AuthorizationPolicySpec | RequestAuthenticationSpec>,
  workload: Workload,
): boolean {
  if (namespace !== workload.namespace) return false
  if (spec.targetRefs.length > 0)
    // A policy on the waypoint itself applies to every service behind it.
    return spec.targetRefs.some(
      ({ kind, name }) => (kind === 'Service' && name === workload.service) || kind === 'Gateway',
    )
  return Object.entries(spec.selector?.matchLabels ?? {}).every(
    ([label, value]) => workload.labels[label] === value,
  )
}

/** `allow_missing`, as in Istio: a token that is sent must be valid, but none is required. */
function jwtFilter(
  authentications: readonly Typed<RequestAuthenticationSpec>[],
  keySets: Readonly<Record<string, string>>,
): Json {
  const rules = authentications.flatMap(({ spec }) => spec.jwtRules)
  const providers = rules.map(({ issuer, audiences }, index) => {
    const keySet = keySets[issuer]
    if (keySet === undefined) throw new Error(`no key set for issuer ${issuer}`)
    const provider = {
      issuer,
      ...(audiences.length > 0 ? { audiences } : {}),
      forward: true,
      payload_in_metadata: PAYLOAD,
      local_jwks: { inline_string: keySet },
    }
    return [`issuer-${index}`, provider] as const
  })
  const requirements = [...providers.map(([name]) => ({ provider_name: name })), { allow_missing: {} }]
  return filter(
    'envoy.filters.http.jwt_authn',
    'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
    {
      providers: Object.fromEntries(providers),
      rules: [{ match: { prefix: '/' }, requires: { requires_any: { requirements } } }],
    },
  )
}

function rbacFilter(action: 'ALLOW' | 'DENY', policies: readonly Typed<AuthorizationPolicySpec>[]): Json {
  const translated = policies.flatMap(({ name, spec }) =>
    spec.rules.map((rule, index) => [`${name}-${index}`, rbacPolicy(rule)] as const),
  )
  return filter('envoy.filters.http.rbac', 'envoy.extensions.filters.http.rbac.v3.RBAC', {
    rules: { action, policies: Object.fromEntries(translated) },
  })
}

/** The items of `from` and of `to` are alternatives; one of each must match. */
function rbacPolicy({ from, to, when, ...rest }: PolicyRule): Json {
  rejectRest(rest, 'rule')
  if (when.length > 0) throw new Error('when is not translated')
  return {
    principals: from.length === 0 ? [EVERYTHING] : from.map(({ source }) => principalOf(source)),
    permissions:
      to.length === 0
        ? [EVERYTHING]
        : to.map(({ operation: { paths, methods, ...others } }) => {
            rejectRest(others, 'operation')
            return allOf('rules', [
              anyOf('rules', paths, (path) => ({ url_path: { path: stringMatch(path) } })),
              anyOf('rules', methods, (method) => ({
                header: { name: ':method', string_match: { exact: method } },
              })),
            ])
          }),
  }
}

/** All members of a source must match, each with at least one of its values. */
function principalOf({ principals, requestPrincipals, ...rest }: PolicySource): Json {
  rejectRest(rest, 'source')
  return allOf('ids', [
    anyOf('ids', principals, (name) => ({
      authenticated: {
        principal_name: name === '*' ? { safe_regex: { regex: '.+' } } : { exact: `spiffe://${name}` },
      },
    })),
    anyOf('ids', requestPrincipals, userOf),
  ])
}

/** Parses `<iss>/<sub>`, where the issuer itself may end with a slash; `*` means any user of any issuer. */
function userOf(name: string): Json {
  const slash = name.lastIndexOf('/')
  const [issuer, subject] = name === '*' ? ['*', '*'] : [name.slice(0, slash), name.slice(slash + 1)]
  return { and_ids: { ids: [claim('iss', issuer), claim('sub', subject)] } }
}

const claim = (name: string, value: string): Json => ({
  metadata: {
    filter: 'envoy.filters.http.jwt_authn',
    path: [{ key: PAYLOAD }, { key: name }],
    value: value === '*' ? { present_match: true } : { string_match: { exact: value } },
  },
})

const stringMatch = (text: string): Json =>
  text.endsWith('*')
    ? { prefix: text.slice(0, -1) }
    : text.startsWith('*')
      ? { suffix: text.slice(1) }
      : { exact: text }

const anyOf = (
  member: 'ids' | 'rules',
  values: readonly string[],
  match: (value: string) => Json,
): Json | undefined =>
  values.length === 0 ? undefined : { [`or_${member}`]: { [member]: values.map(match) } }

function allOf(member: 'ids' | 'rules', conditions: readonly (Json | undefined)[]): Json {
  const present = conditions.filter((condition) => condition !== undefined)
  return present.length === 0 ? EVERYTHING : { [`and_${member}`]: { [member]: present } }
}

function rejectRest(rest: Json, what: string) {
  for (const [name, value] of Object.entries(rest))
    if (!Array.isArray(value) || value.length > 0) throw new Error(`${name} of ${what} is not translated`)
}

const filter = (name: string, type: string, config: Json): Json => ({
  name,
  typed_config: { '@type': `type.googleapis.com/${type}`, ...config },
})
