import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { commonConfig, readConfig, STOP_DEADLINE_MS } from '@hallpass/service-kit'
import { describe, expect, it } from '@jest/globals'
import { parse, parseAllDocuments } from 'yaml'
import { wireSuite } from '../scripts/suite.ts'

/** Processes of the suite that have another name in the manifests, or two instances. */
const IN_COMPOSE: Readonly<Record<string, readonly string[]>> = {
  'sse-gateway': ['sse-gateway1', 'sse-gateway2'],
}
const IN_KUBERNETES: Readonly<Record<string, string>> = {
  'web-ui': 'webui',
  'token-cache-proxy1': 'token-cache-proxy',
  'token-cache-proxy2': 'token-cache-proxy',
}
/** In Kubernetes, SPIRE and a provider such as Auth0 replace these. */
const NOT_IN_KUBERNETES = ['spiffe-agent', 'spiffe-server', 'spiffe-proxy', 'identity-provider']
/** Set by the image, or only used by the explorer in development mode, where services report hops on the same machine. */
const ELSEWHERE = [
  'STATE_FOLDER',
  'ASSETS_FOLDER',
  'HOPS_URL',
  'HOPS_UPSTREAM_URL',
  'HOPS_ISSUER',
  'HOPS_STREAM_URL',
  'SERVICE_A_URL',
  'SSE_SERVER_URL',
  'TOKEN_CACHE_URL',
  'TOKEN_CACHE_PROXY_URLS',
  // A Secret has it as RANDOM_SECRET.
  'RANDOM_SECRET_FILE',
]
/** Only the explorer calls the factory, so the web UI without the explorer does not get its URL. */
const ONLY_FOR_THE_EXPLORER: Readonly<Record<string, string>> = { 'web-ui': 'JWT_FACTORY_URL' }
/** Values that differ between environments: addresses, names, and what the user must supply. */
const PER_ENVIRONMENT = /(_URL|_URLS|^PROXY_NAME|^ISSUER|^BASE_URL|^AUDIENCE|^RESOURCE|^AUTH0_CLIENT_ID)$/
/** In Kubernetes, overlays add ISSUER and AUDIENCE (the base leaves access control to the mesh); SPIRE is separate. */
const FROM_OVERLAYS = ['ISSUER', 'AUDIENCE', 'SPIFFE_PROXY_URL']
/** Ports inside the container, where only the outside port is the documented one. */
const IN_CONTAINER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'web-ui': { PORT: '8080' },
}
/** Each proxy has its own pod, so both may use the same port. */
const OWN_NETWORK = ['token-cache-proxy2']

interface Container {
  readonly name: string
  readonly args?: readonly string[]
  readonly env?: readonly { name: string; value?: string }[]
  readonly ports?: readonly { containerPort: number }[]
  readonly volumeMounts?: readonly { name: string; mountPath: string }[]
  readonly lifecycle?: { preStop?: { sleep?: { seconds: number } } }
}
interface Volume {
  readonly persistentVolumeClaim?: { claimName: string; readOnly?: boolean }
}
interface Deployment {
  readonly metadata: { name: string }
  readonly spec: {
    template: {
      spec: { containers: Container[]; volumes?: Volume[]; terminationGracePeriodSeconds?: number }
    }
  }
}
interface KubernetesService {
  readonly metadata: { name: string }
  readonly spec: { ports: unknown }
}
interface ComposeService {
  readonly command: string[]
  readonly environment?: Record<string, string>
  readonly ports?: string[]
  readonly volumes?: string[]
  readonly network_mode?: string
  readonly stop_grace_period?: string
}

const root = join(import.meta.dirname, '..')
const suite = wireSuite({ port: (documented) => documented, stateFolder: '/state' }).map((process) => ({
  ...process,
  env: Object.fromEntries(
    Object.entries(process.env).filter(([name]) => name !== ONLY_FOR_THE_EXPLORER[process.name]),
  ),
}))
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true })
  .services as Record<string, ComposeService>
const manifests = readdirSync(join(root, 'deploy/kubernetes/base'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('deploy.yaml'))
  .flatMap((path) => parseAllDocuments(readFileSync(join(root, 'deploy/kubernetes/base', path), 'utf8')))
  .map((document) => document.toJS() as { kind: string; metadata: { name: string }; spec: never })
const deployments = manifests.filter(({ kind }) => kind === 'Deployment') as Deployment[]
const services = manifests.filter(({ kind }) => kind === 'Service') as KubernetesService[]
const kubernetes = deployments.flatMap(({ spec }) => spec.template.spec.containers)

const fixed = (env: Readonly<Record<string, string>>) =>
  Object.entries(env).filter(([name]) => !ELSEWHERE.includes(name))

describe('docker-compose.yml', () => {
  it.each(suite)(
    'runs $name with the environment and the ports of the suite',
    ({ name, folder, env, urls }) => {
      for (const copy of IN_COMPOSE[name] ?? [name]) {
        const service = compose[copy]
        expect(service?.command).toEqual([folder])
        for (const [variable, value] of fixed(env)) {
          const own = service?.environment?.[variable]
          expect(own === undefined ? `${variable} is missing` : variable).toBe(variable)
          const isPort = variable in urls && OWN_NETWORK.includes(name)
          if (!PER_ENVIRONMENT.test(variable) && !isPort)
            expect([variable, own]).toEqual([variable, IN_CONTAINER[name]?.[variable] ?? value])
        }
      }
    },
  )

  it('has no other services than Redis, setup and operator', () => {
    const known = suite.flatMap(({ name }) => IN_COMPOSE[name] ?? [name])
    expect(Object.keys(compose).filter((name) => !known.includes(name))).toEqual([
      'setup',
      'operator',
      'redis',
    ])
  })

  it('publishes the documented ports', () => {
    const published = Object.values(compose).flatMap(({ ports = [] }) =>
      ports.map((port) => Number(/:(\d+):\d+$/.exec(port)?.[1])),
    )
    const documented = [
      80, 8080, 8081, 5555, 3000, 3001, 3002, 8443, 9443, 7001, 8001, 7143, 9090, 4000, 9000,
    ]
    expect(documented.filter((port) => !published.includes(port))).toEqual([])
    expect(new Set(published).size).toBe(published.length)
  })

  it('publishes each port of the suite at the service that listens on it', () => {
    // Not published: the tiers of the token cache behind the balancer, and the health ports of the SPIFFE examples.
    for (const { name, urls, env } of suite.filter((process) => !process.name.startsWith('token-cache'))) {
      const service = compose[IN_COMPOSE[name]?.[0] ?? name]
      const host = service?.network_mode?.replace('service:', '')
      const { ports } = (host ? compose[host] : service) ?? {}
      for (const variable of Object.keys(urls).filter((listener) => listener !== 'HEALTH_PORT'))
        expect(ports).toContain(`\${BIND:-127.0.0.1}:${env[variable]}:${service?.environment?.[variable]}`)
    }
  })

  it('gives the private key of service A only to service A', () => {
    const file = compose['service-a']?.environment?.PRIVATE_KEY_FILE ?? ''
    const mounts = (name: string) =>
      (compose[name]?.volumes ?? []).map((text) => text.split(':') as [string, string, string?])
    const holder = mounts('service-a')
      .filter(([, path]) => file.startsWith(`${path}/`))
      .sort(([, a], [, b]) => b.length - a.length)[0]?.[0]
    expect(holder).toBe('service-a')
    for (const name of Object.keys(compose).filter((other) => other !== 'service-a' && other !== 'setup'))
      expect([name, mounts(name).map(([volume]) => volume)]).not.toEqual([
        name,
        expect.arrayContaining([holder]),
      ])
    for (const callee of ['service-b', 'service-c'])
      expect(mounts(callee)).toContainEqual(['service-a-key-set', '/state/scenario-3-keys', 'ro'])
  })

  it('gives no service more than it needs', () => {
    for (const [name, service] of Object.entries(compose)) {
      expect([name, service]).toEqual([
        name,
        expect.objectContaining({
          read_only: true,
          cap_drop: ['ALL'],
          security_opt: ['no-new-privileges:true'],
        }),
      ])
    }
  })
})

describe('deploy/kubernetes', () => {
  it.each(suite.filter(({ name }) => !NOT_IN_KUBERNETES.includes(name)))(
    'runs $name with the environment and the ports of the suite',
    ({ name, folder, env, urls }) => {
      const container = kubernetes.find((candidate) => candidate.name === (IN_KUBERNETES[name] ?? name))
      expect(container?.args).toEqual([folder])
      const own = new Map((container?.env ?? []).map((entry) => [entry.name, entry.value]))
      for (const [variable, value] of fixed(env)) {
        if (FROM_OVERLAYS.includes(variable)) continue
        expect(own.has(variable) ? variable : `${variable} is missing`).toBe(variable)
        const isPort = variable in urls && OWN_NETWORK.includes(name)
        if (!PER_ENVIRONMENT.test(variable) && !isPort)
          expect([variable, own.get(variable)]).toEqual([variable, IN_CONTAINER[name]?.[variable] ?? value])
      }
      const ports = (container?.ports ?? []).map(({ containerPort }) => containerPort)
      for (const variable of Object.keys(urls)) expect(ports).toContain(Number(own.get(variable)))
    },
  )

  it('has the web UI on port 80 of its service, and on 8080 of the container', () => {
    const port = (name: string) => services.find(({ metadata }) => metadata.name === name)?.spec.ports
    expect(port('webui')).toEqual([{ name: 'http', port: 80, targetPort: 'http' }])
    expect(kubernetes.find(({ name }) => name === 'webui')?.ports).toContainEqual({
      name: 'http',
      containerPort: 8080,
    })
  })

  it('gives the private key of service A only to service A', () => {
    const claims = (name: string) => {
      const { template } = deployments.find(({ metadata }) => metadata.name === name)?.spec ?? {}
      return (template?.spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
        claim ? [claim] : [],
      )
    }
    const container = kubernetes.find(({ name }) => name === 'service-a')
    const file = container?.env?.find(({ name }) => name === 'PRIVATE_KEY_FILE')?.value
    expect(container?.volumeMounts).toContainEqual({ name: 'signing-key', mountPath: dirname(file ?? '') })
    const holders = deployments.filter(({ metadata }) =>
      claims(metadata.name).some(({ claimName }) => claimName === 'service-a-key'),
    )
    expect(holders.map(({ metadata }) => metadata.name)).toEqual(['service-a'])
    for (const callee of ['service-b', 'service-c'])
      expect(claims(callee)).toEqual([{ claimName: 'service-a-key-set', readOnly: true }])
  })

  it('has only processes of the suite, and Redis', () => {
    const known = suite.map(({ name }) => IN_KUBERNETES[name] ?? name)
    expect(kubernetes.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual(['redis'])
  })
})

describe('a service that is stopped', () => {
  const { drainDelayMs } = readConfig({ NODE_ENV: 'production' }, commonConfig)
  const needsSeconds = (drainDelayMs + STOP_DEADLINE_MS) / 1000

  it('is not killed by compose before it has answered every request', () => {
    for (const { name } of suite)
      for (const copy of IN_COMPOSE[name] ?? [name]) {
        const seconds = Number(/^(\d+)s$/.exec(compose[copy]?.stop_grace_period ?? '')?.[1])
        expect([copy, seconds > needsSeconds]).toEqual([copy, true])
      }
  })

  it('has in Kubernetes a preStop delay, its drain delay and its deadline within the grace period', () => {
    for (const { metadata, spec } of deployments.filter(({ metadata: { name } }) => name !== 'redis')) {
      const { containers, terminationGracePeriodSeconds: grace = 0 } = spec.template.spec
      const env = containers.flatMap((container) => container.env ?? [])
      expect([metadata.name, env.find(({ name }) => name === 'DRAIN_DELAY_MS')]).toEqual([
        metadata.name,
        undefined,
      ])
      const preStop = containers.map(({ lifecycle }) => lifecycle?.preStop?.sleep?.seconds ?? 0)
      expect([metadata.name, Math.min(...preStop) > 0]).toEqual([metadata.name, true])
      expect([metadata.name, grace > Math.max(...preStop) + needsSeconds]).toEqual([metadata.name, true])
    }
  })
})

describe('paths of trust', () => {
  const plain = (env: readonly (readonly [string, string | undefined])[]) =>
    env.filter(([, value]) => /^(http|redis):\/\/(?!localhost\b)/.test(value ?? ''))

  it('are encrypted in compose', () => {
    for (const [name, { environment = {} }] of Object.entries(compose))
      expect([name, plain(Object.entries(environment))]).toEqual([name, []])
  })

  it('are encrypted in Kubernetes, or carried by a mesh that is named', () => {
    for (const { name, env = [] } of kubernetes) {
      const isInMesh = env.some((entry) => entry.name === 'MESH')
      expect([name, isInMesh]).toEqual([name, name === 'webui'])
      if (!isInMesh) expect([name, plain(env.map((entry) => [entry.name, entry.value]))]).toEqual([name, []])
    }
  })
})

describe('Redis', () => {
  it('has TLS only, and a password from a file', () => {
    const { command = [] } = compose.redis ?? {}
    expect(command.slice(0, 4)).toEqual(['redis-server', '/redis/auth.conf', '--port', '0'])
    expect(command).toContain('--tls-port')
    for (const { environment = {} } of Object.values(compose).filter(
      (service) => service.environment?.REDIS_URL,
    ))
      expect(environment).toMatchObject({
        REDIS_URL: 'rediss://redis:6379',
        REDIS_PASSWORD_FILE: expect.any(String),
        REDIS_CA_FILE: expect.any(String),
      })
  })

  it('has the same arguments in compose and Kubernetes, and never evicts blocks, revocations or events', () => {
    const [inCompose, inKubernetes] = [
      compose.redis?.command,
      deployments.find(({ metadata }) => metadata.name === 'redis')?.spec.template.spec.containers[0]?.args,
    ]
    expect(inKubernetes).toEqual(inCompose)
    const policy = inCompose?.[inCompose.indexOf('--maxmemory-policy') + 1]
    // Never evicts entries without an expiry; decision 13 explains why not another volatile policy.
    expect(policy).toBe('volatile-lru')
  })
})
