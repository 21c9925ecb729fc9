import {
  type AuthorizationPolicySpec,
  type Manifest,
  ofKind,
  type PolicyRule,
  type PolicySource,
  type RequestAuthenticationSpec,
  type Typed,
} from '@hallpass/policy-linter'

/** What a policy is compared with to see whether it holds here. */
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
 * The filters that Istio puts before a workload, made from the policies themselves: `jwt_authn` from
 * RequestAuthentication, `rbac` from AuthorizationPolicy. Only what the files of deploy/ use is translated; anything
 * else is an error, so that no field is passed over in silence.
 * @param keySets the key set of each issuer, as JSON. istiod would fetch it from `jwksUri`.
 */
export function envoyFilters(
  manifests: readonly Manifest[],
  workload: Workload,
  keySets: Readonly<Record<string, string>>,
): Json[] {
  const authentications = ofKind(manifests, 'RequestAuthentication').filter((policy) =>
    holdsFor(policy, workload),
  )
  const authorizations = ofKind(manifests, 'AuthorizationPolicy').filter((policy) =>
    holdsFor(policy, workload),
  )
  const filters: Json[] = []
  if (authentications.length > 0) filters.push(jwtFilter(authentications, keySets))
  for (const action of ['DENY', 'ALLOW'] as const) {
    const policies = authorizations.filter(({ spec }) => spec.action === action)
    // Without any ALLOW policy everything is allowed; with one, only what some rule of some policy allows.
    if (policies.length > 0) filters.push(rbacFilter(action, policies))
  }
  const foreign = authorizations.find(({ spec }) => spec.action !== 'ALLOW' && spec.action !== 'DENY')
  if (foreign) throw new Error(`${foreign.name}: the action ${foreign.spec.action} is not translated`)
  return filters
}

function holdsFor(
  { namespace, spec }: Typed<AuthorizationPolicySpec | RequestAuthenticationSpec>,
  workload: Workload,
): boolean {
  if (namespace !== workload.namespace) return false
  if (spec.targetRefs.length > 0)
    // A policy at the waypoint itself holds for every service behind it.
    return spec.targetRefs.some(
      ({ kind, name }) => (kind === 'Service' && name === workload.service) || kind === 'Gateway',
    )
  return Object.entries(spec.selector?.matchLabels ?? {}).every(
    ([label, value]) => workload.labels[label] === value,
  )
}

/** `allow_missing` is Istio's: a token that comes must be good, and none need come. */
function jwtFilter(
  authentications: readonly Typed<RequestAuthenticationSpec>[],
  keySets: Readonly<Record<string, string>>,
): Json {
  const rules = authentications.flatMap(({ spec }) => spec.jwtRules)
  const providers = rules.map(({ issuer, audiences }, index) => {
    const keySet = keySets[issuer]
    if (keySet === undefined) throw new Error(`there is no key set of ${issuer}`)
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

/** The items of `from` and of `to` are alternatives; `from` and `to` must both hold. */
function rbacPolicy({ from, to, when, ...rest }: PolicyRule): Json {
  refuseRest(rest, 'rule')
  if (when.length > 0) throw new Error('when is not translated')
  return {
    principals: from.length === 0 ? [EVERYTHING] : from.map(({ source }) => principalOf(source)),
    permissions:
      to.length === 0
        ? [EVERYTHING]
        : to.map(({ operation: { paths, methods, ...others } }) => {
            refuseRest(others, 'operation')
            return allOf('rules', [
              anyOf('rules', paths, (path) => ({ url_path: { path: textMatch(path) } })),
              anyOf('rules', methods, (method) => ({
                header: { name: ':method', string_match: { exact: method } },
              })),
            ])
          }),
  }
}

/** All members of a source must hold, and of each member one value. */
function principalOf({ principals, requestPrincipals, ...rest }: PolicySource): Json {
  refuseRest(rest, 'source')
  return allOf('ids', [
    anyOf('ids', principals, (name) => ({
      authenticated: {
        principal_name: name === '*' ? { safe_regex: { regex: '.+' } } : { exact: `spiffe://${name}` },
      },
    })),
    anyOf('ids', requestPrincipals, userOf),
  ])
}

/** `<iss>/<sub>`, of which the issuer may end with a slash itself; `*` for any user of any issuer. */
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

const textMatch = (text: string): Json =>
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

function refuseRest(rest: Json, what: string) {
  for (const [name, value] of Object.entries(rest))
    if (!Array.isArray(value) || value.length > 0) throw new Error(`${name} of a ${what} is not translated`)
}

const filter = (name: string, type: string, config: Json): Json => ({
  name,
  typed_config: { '@type': `type.googleapis.com/${type}`, ...config },
})
