import { readManifests } from '@hallpass/policy-linter'
import { describe, expect, it } from '@jest/globals'
import { envoyFilters } from './envoy-filters.ts'

const BACKEND = { service: 'backend-api', namespace: 'default', labels: { app: 'backend-api' } }

const policy = (spec: string, kind = 'AuthorizationPolicy') =>
  `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: { name: p }\nspec: ${spec}\n`
const filters = (...texts: string[]) =>
  envoyFilters(readManifests({ file: 'p.yaml', text: texts.join('---\n') }).manifests, BACKEND, {
    'https://issuer.example/': '{"keys":[]}',
  }) as { name: string; typed_config: { rules: unknown; providers: unknown } }[]

describe('envoyFilters', () => {
  it('generates no filter for a workload to which no policy applies', () => {
    expect(filters(policy('{ selector: { matchLabels: { app: webui } } }'))).toEqual([])
    expect(filters(policy('{}').replace('{ name: p }', '{ name: p, namespace: other }'))).toEqual([])
    expect(filters(policy('{ targetRefs: [{ kind: Service, name: webui }] }'))).toEqual([])
  })

  it('translates an empty policy to one that allows nothing', () => {
    const [rbac] = filters(policy('{}'))
    expect(rbac?.typed_config.rules).toEqual({ action: 'ALLOW', policies: {} })
  })

  it('joins the members of a source with AND, and sources with OR', () => {
    const [rbac] = filters(
      policy(
        '{ rules: [{ from: [{ source: { principals: [td/a], requestPrincipals: ["https://issuer.example//*"] } }, { source: { principals: [td/b] } }] }] }',
      ),
    )
    const workload = (name: string) => ({
      or_ids: { ids: [{ authenticated: { principal_name: { exact: `spiffe://td/${name}` } } }] },
    })
    const claim = (key: string, value: unknown) => ({
      metadata: { filter: 'envoy.filters.http.jwt_authn', path: [{ key: 'payload' }, { key }], value },
    })
    const user = {
      and_ids: {
        ids: [
          claim('iss', { string_match: { exact: 'https://issuer.example/' } }),
          claim('sub', { present_match: true }),
        ],
      },
    }
    expect(rbac?.typed_config.rules).toEqual({
      action: 'ALLOW',
      policies: {
        'p-0': {
          permissions: [{ any: true }],
          principals: [
            { and_ids: { ids: [workload('a'), { or_ids: { ids: [user] } }] } },
            { and_ids: { ids: [workload('b')] } },
          ],
        },
      },
    })
  })

  it('puts token checks before caller checks, and DENY before ALLOW', () => {
    const names = filters(
      policy('{}'),
      policy('{ action: DENY, rules: [{ from: [{ source: { principals: [td/a] } }] }] }'),
      policy(
        '{ jwtRules: [{ issuer: "https://issuer.example/", audiences: [a] }] }',
        'RequestAuthentication',
      ),
    ).map(({ name, typed_config }) => `${name} ${(typed_config.rules as { action?: string }).action ?? ''}`)
    expect(names).toEqual([
      'envoy.filters.http.jwt_authn ',
      'envoy.filters.http.rbac DENY',
      'envoy.filters.http.rbac ALLOW',
    ])
  })

  it.each([
    ['{ rules: [{ from: [{ source: { namespaces: [a] } }] }] }', 'namespaces of source is not translated'],
    ['{ rules: [{ to: [{ operation: { ports: ["80"] } }] }] }', 'ports of operation is not translated'],
    ['{ rules: [{ when: [{ key: source.ip, values: [a] }] }] }', 'when is not translated'],
    ['{ action: CUSTOM }', 'p: the action CUSTOM is not translated'],
  ])('throws for %s instead of ignoring it', (spec, message) => {
    expect(() => filters(policy(spec))).toThrow(message)
  })
})
