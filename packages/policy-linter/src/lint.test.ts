import { describe, expect, it } from '@jest/globals'
import { lintPolicies } from './lint.ts'

const policy = (rules: string, rest = '  selector: { matchLabels: { app: backend-api } }\n') =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: allow }\nspec:\n${rest}${rules}`

const AUTHENTICATION = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: backend-api }
spec:
  selector: { matchLabels: { app: backend-api } }
  jwtRules:
    - issuer: https://issuer.example/
      audiences: [https://webui]
`
const BOTH = policy(`  rules:
    - from:
        - source:
            principals: [cluster.local/ns/default/sa/webui]
            requestPrincipals: ["*"]
`)
const service = (port: string) =>
  `apiVersion: v1\nkind: Service\nmetadata: { name: backend-api }\nspec:\n  selector: { app: backend-api }\n  ports:\n    - ${port}\n`

const lint = (...texts: string[]) =>
  lintPolicies(texts.map((text, index) => ({ file: `${index + 1}.yaml`, text }))).map(
    ({ code, file, line }) => `${file}:${line} ${code}`,
  )

describe('lintPolicies', () => {
  it('finds nothing in a policy that requires the workload and the user', () => {
    expect(lint(AUTHENTICATION, BOTH, service('{ name: http, port: 80 }'))).toEqual([])
  })

  it('finds a key that appears twice, of which a cluster keeps the last', () => {
    const twice = BOTH.replace(
      '            requestPrincipals',
      '          source:\n            requestPrincipals',
    )
    expect(lint(AUTHENTICATION, twice)).toEqual(['2.yaml:10 duplicate-key'])
    const [finding] = lintPolicies([{ file: 'a.yaml', text: twice }])
    expect(finding?.reason).toBe(
      'the key "source" appears twice in one object; kubectl keeps the last and silently drops the first',
    )
  })

  it('finds two sources that are alternatives', () => {
    const either = BOTH.replace(
      '            requestPrincipals',
      '        - source:\n            requestPrincipals',
    )
    expect(lint(either)).toEqual(['1.yaml:8 or-for-and'])
  })

  it('finds two rules that are alternatives', () => {
    const either = policy(`  rules:
    - from: [{ source: { principals: [a] } }]
    - from: [{ source: { requestPrincipals: ["*"] } }]
`)
    expect(lint(either)).toEqual(['1.yaml:8 or-for-and'])
  })

  it('finds two policies for one workload that are alternatives', () => {
    const workload = policy('  rules: [{ from: [{ source: { principals: [a] } }] }]\n')
    const user = policy('  rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }]\n')
    expect(lint(workload, user.replace('name: allow', 'name: users'))).toEqual(['2.yaml:6 or-for-and'])
    // With the same name, the second replaces the first.
    expect(lint(workload, user)).toEqual([])
  })

  it('accepts alternatives in a DENY policy, where they are intended', () => {
    expect(
      lint(
        policy(`  action: DENY
  rules:
    - from: [{ source: { principals: [a] } }, { source: { requestPrincipals: ["*"] } }]
`),
      ),
    ).toEqual([])
  })

  it('finds a RequestAuthentication whose token no policy requires', () => {
    expect(lint(AUTHENTICATION)).toEqual(['1.yaml:1 token-not-demanded'])
    const other = BOTH.replace('backend-api', 'webui')
    expect(lint(AUTHENTICATION, other)).toEqual(['1.yaml:1 token-not-demanded'])
    const workloadOnly = BOTH.replace(/ *requestPrincipals.*\n/, '')
    expect(lint(AUTHENTICATION, workloadOnly)).toEqual(['1.yaml:1 token-not-demanded'])
  })

  it('accepts a DENY for requests without a token, and a required claim, as requiring a token', () => {
    const denial = policy(
      '  action: DENY\n  rules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }]\n',
    )
    expect(lint(AUTHENTICATION, denial)).toEqual([])
    const claim = policy('  rules: [{ when: [{ key: "request.auth.claims[groups]", values: [staff] }] }]\n')
    expect(lint(AUTHENTICATION, claim)).toEqual([])
  })

  it('finds rules that accept tokens for any audience', () => {
    const anyAudience = AUTHENTICATION.replace(/ *audiences.*\n/, '')
    expect(lint(anyAudience, BOTH)).toEqual(['1.yaml:7 missing-audiences'])
    const empty = AUTHENTICATION.replace('[https://webui]', '[]')
    expect(lint(empty, BOTH)).toEqual(['1.yaml:7 missing-audiences'])
    const asked = BOTH.replace(
      /$/,
      '      when: [{ key: request.auth.audiences, values: [https://webui] }]\n',
    )
    expect(lint(anyAudience, asked)).toEqual([])
  })

  it.each([
    '{ port: 80 }',
    '{ name: tcp-web, port: 80 }',
    '{ name: https, port: 443 }',
    '{ name: httpd, port: 80 }',
  ])('finds the port %s, on which no rule about HTTP can match', (port) => {
    expect(lint(AUTHENTICATION, BOTH, service(port))).toEqual(['3.yaml:7 opaque-port'])
  })

  it('accepts a protocol in the port name or appProtocol, and any port where no rule is about HTTP', () => {
    for (const port of ['{ name: http-web, port: 80 }', '{ name: web, appProtocol: http, port: 80 }'])
      expect(lint(AUTHENTICATION, BOTH, service(port))).toEqual([])
    const tcp = policy('  rules: [{ from: [{ source: { principals: [a] } }] }]\n')
    expect(lint(tcp, service('{ name: tcp-redis, port: 6379 }'))).toEqual([])
  })

  it('accepts an encrypted port that no rule about HTTP is about', () => {
    const rules = (ports: string) =>
      policy(`  rules: [{ to: [{ operation: { paths: [/a], ports: [${ports}] } }] }]\n`)
    const ports = '{ name: http, port: 80 }\n    - { name: https, port: 443 }'
    expect(lint(rules('"80"'), service(ports))).toEqual([])
    expect(lint(rules('"80", "443"'), service(ports))).toEqual(['2.yaml:8 opaque-port'])
  })

  it('finds policies that ztunnel cannot enforce and a waypoint should', () => {
    const waypoint =
      'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: waypoint }\nspec: { gatewayClassName: istio-waypoint }\n'
    expect(lint(waypoint, AUTHENTICATION, BOTH)).toEqual([
      '2.yaml:5 waypoint-without-target-refs',
      '3.yaml:5 waypoint-without-target-refs',
    ])
    const target = (text: string) =>
      text.replace(/ {2}selector.*\n/, '  targetRefs: [{ kind: Service, group: "", name: backend-api }]\n')
    expect(lint(waypoint, target(AUTHENTICATION), target(BOTH))).toEqual([])
    const namespace =
      'apiVersion: v1\nkind: Namespace\nmetadata: { name: default, labels: { istio.io/dataplane-mode: ambient } }\n'
    expect(lint(namespace, BOTH)).toEqual(['2.yaml:5 waypoint-without-target-refs'])
  })

  it('finds an external authorizer that is selected by source', () => {
    const custom = policy('  action: CUSTOM\n  rules: [{ from: [{ source: { principals: [a] } }] }]\n')
    expect(lint(custom)).toEqual(['1.yaml:7 custom-with-source'])
    expect(
      lint(policy('  action: CUSTOM\n  rules: [{ to: [{ operation: { paths: [/data] } }] }]\n')),
    ).toEqual([])
  })

  it('reports the line where a file is not valid YAML or not a valid policy', () => {
    expect(lint('a: [')).toEqual(['1.yaml:1 unreadable'])
    expect(lint('- a\n')).toEqual(['1.yaml:1 malformed'])
    expect(lint(policy('  rules: nonsense\n'))).toEqual(['1.yaml:5 malformed'])
    expect(lint('')).toEqual([])
  })
})
