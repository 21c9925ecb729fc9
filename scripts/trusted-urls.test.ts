import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig as backendApi } from '@hallpass/backend-api/app'
import { loadConfig as identityProvider } from '@hallpass/identity-provider/app'
import { loadConfig as jwtFactory } from '@hallpass/jwt-factory/app'
import { loadConfig as serviceA } from '@hallpass/service-a/app'
import { loadConfig as serviceB } from '@hallpass/service-b/app'
import { loadConfig as serviceC } from '@hallpass/service-c/app'
import { ConfigError, type Environment } from '@hallpass/service-kit'
import { loadConfig as spiffeAgent } from '@hallpass/spiffe-agent/app'
import { loadConfig as spiffeClient } from '@hallpass/spiffe-client/app'
import { loadConfig as spiffeProxy } from '@hallpass/spiffe-proxy/app'
import { loadConfig as sseGateway } from '@hallpass/sse-gateway/app'
import { loadConfig as sseServer } from '@hallpass/sse-server/app'
import { loadConfig as tokenCacheApi } from '@hallpass/token-cache-api/app'
import { loadConfig as tokenCacheAuth } from '@hallpass/token-cache-auth/app'
import { loadConfig as tokenCacheLoadBalancer } from '@hallpass/token-cache-load-balancer/app'
import { loadConfig as tokenCacheProxy } from '@hallpass/token-cache-proxy/app'
import { loadConfig as webUi } from '@hallpass/web-ui/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'

interface TrustingService {
  readonly loadConfig: (env: Environment) => unknown
  /** What it needs in production besides the URLs. */
  readonly env?: Environment
  /** Every variable with the URL of a service that it trusts, or to which it sends credentials. */
  readonly urls: readonly string[]
  /** Those from which keys are loaded: whoever can change them on the network can sign tokens, so plain ones are refused in development too. */
  readonly keys?: readonly string[]
  /** Those that may be names without a transport. */
  readonly issuers?: readonly string[]
  readonly redis?: boolean
}

/** An https issuer would not accept the http URLs of its keys with which these tests end. */
const LOCAL_ISSUER = 'http://localhost:9000/'
const CALLERS = { TRUSTED_CALLERS_FILE: '/etc/callers.yaml' }
const FILES = { CERT_FILE: '/etc/tls.crt', KEY_FILE: '/etc/tls.key' }
const callee: Omit<TrustingService, 'loadConfig'> = {
  env: { TOKEN_ISSUER: LOCAL_ISSUER },
  urls: ['JWT_FACTORY_URL'],
  keys: ['TOKEN_JWKS_URL', 'TOKEN_ISSUER'],
  issuers: ['JWT_FACTORY_ISSUER'],
}
const SECRETS = { AUTH0_CLIENT_ID: 'c', AUTH0_SECRET: 's', RANDOM_SECRET: 'x'.repeat(44) }

const SERVICES: Readonly<Record<string, TrustingService>> = {
  'jwt-factory': {
    loadConfig: jwtFactory,
    env: {
      ...CALLERS,
      HTTPS_PORT: '5443',
      KEY_ENCRYPTION_KMS_KEY_ID: 'alias/issuer',
      AWS_REGION: 'eu-central-1',
    },
    urls: ['PUBLIC_URL', 'MTLS_PUBLIC_URL'],
    issuers: ['ISSUER'],
    redis: true,
  },
  'service-a': {
    loadConfig: serviceA,
    urls: [
      'JWT_FACTORY_URL',
      'SERVICE_B_URL',
      'SERVICE_B_TLS_URL',
      'SERVICE_C_URL',
      'SERVICE_C_TLS_URL',
      'SPIFFE_PROXY_URL',
    ],
    issuers: ['JWT_FACTORY_ISSUER'],
  },
  'service-b': { loadConfig: serviceB, ...callee },
  'service-c': { loadConfig: serviceC, ...callee },
  'sse-server': {
    loadConfig: sseServer,
    env: { ...FILES, PUBLISHERS: 'token', ISSUER: LOCAL_ISSUER, AUDIENCE: 'a' },
    urls: [],
    keys: ['JWKS_URL', 'ISSUER'],
    redis: true,
  },
  'sse-gateway': {
    loadConfig: sseGateway,
    env: { ISSUER: LOCAL_ISSUER, JWKS_URL: 'https://issuer/jwks' },
    urls: ['UPSTREAM_URL'],
    keys: ['JWKS_URL', 'ISSUER'],
    redis: true,
  },
  'sse-gateway with hops': {
    loadConfig: sseGateway,
    env: {
      JWKS_URL: 'https://issuer/jwks',
      HOPS_UPSTREAM_URL: 'https://sse-server/topics/hops',
      HOPS_ISSUER: 'https://web-ui',
    },
    urls: ['HOPS_UPSTREAM_URL'],
    keys: ['HOPS_ISSUER'],
  },
  'backend-api': {
    loadConfig: backendApi,
    env: { ISSUER: LOCAL_ISSUER, AUDIENCE: 'a' },
    urls: [],
    keys: ['JWKS_URL', 'ISSUER'],
  },
  'identity-provider': {
    loadConfig: identityProvider,
    env: { ALLOW_PRODUCTION: 'a test' },
    urls: ['ISSUER', 'WEB_UI_URL'],
  },
  'web-ui': {
    loadConfig: webUi,
    env: { ...SECRETS, SHOULD_AUTHENTICATE: 'true', ISSUER_BASE_URL: 'https://issuer/' },
    urls: ['BACKEND_SERVICE_URL', 'SECOND_BACKEND_SERVICE_URL'],
    keys: ['ISSUER_BASE_URL', 'ISSUER_BACK_CHANNEL_URL', 'JWKS_URL'],
  },
  'web-ui with the explorer': {
    loadConfig: webUi,
    env: { EXPLORER: 'true' },
    urls: [
      'JWT_FACTORY_URL',
      'SSE_SERVER_URL',
      'SERVICE_A_URL',
      'TOKEN_CACHE_URL',
      'TOKEN_CACHE_PROXY_URLS',
      'HOPS_STREAM_URL',
    ],
  },
  'token-cache-api': { loadConfig: tokenCacheApi, urls: ['JWT_FACTORY_URL'], issuers: ['ISSUER'] },
  'token-cache-auth': { loadConfig: tokenCacheAuth, urls: ['JWT_FACTORY_URL'], issuers: ['ISSUER'] },
  'token-cache-load-balancer': { loadConfig: tokenCacheLoadBalancer, urls: ['PROXY_URLS'] },
  'token-cache-proxy': {
    loadConfig: tokenCacheProxy,
    env: { IDENTITY: 'bearer', CALLER_ISSUER: LOCAL_ISSUER },
    urls: ['AUTH_URL', 'API_URL', 'JWT_FACTORY_URL'],
    keys: ['CALLER_JWKS_URL', 'CALLER_ISSUER'],
    issuers: ['ISSUER'],
    redis: true,
  },
  'spiffe-agent': { loadConfig: spiffeAgent, urls: ['JWT_ISSUER'] },
  'spiffe-client': { loadConfig: spiffeClient, urls: ['PROXY_URL'] },
  // SPIFFE's own mutual TLS: an https URL is required everywhere.
  'spiffe-proxy': { loadConfig: spiffeProxy, urls: [] },
}

/** URLs that are read first and then checked as those of keys or introspection. */
const CHECKED = ['JWKS_URL', 'HOPS_ISSUER', 'INTROSPECTION_URL']

/** URLs that carry nothing that a service trusts, and why. */
const NOT_TRUSTED: Readonly<Record<string, string>> = {
  BASE_URL: 'has its own rule: https, localhost, or INSECURE_COOKIES',
  PUBLIC_URL: 'has its own rule at the gateway: https',
  SOURCE_URL: 'a link for people',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'spans contain no tokens',
}

const production = (env: Environment = {}) => ({ NODE_ENV: 'production', ...env })

function problemsOf({ loadConfig, env }: TrustingService, more: Environment): readonly string[] {
  try {
    loadConfig(production({ ...env, ...more }))
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

const cases = Object.entries(SERVICES).flatMap(([name, service]) =>
  [...service.urls, ...(service.keys ?? []), ...(service.issuers ?? [])].map((variable) => ({
    name,
    variable,
    service,
  })),
)

/** What is said of a plain URL. */
const refusal = ({ keys = [] }: TrustingService, variable: string, url: string) =>
  `${variable} is not encrypted, ${
    keys.includes(variable)
      ? 'so anyone on the network can replace its keys and sign tokens'
      : 'which NODE_ENV=production does not allow'
  }: use an https URL, or set MESH to the name of the mesh that encrypts and authenticates this connection (e.g. MESH=istio), but is "${url}"`

describe('NODE_ENV=production', () => {
  it.each(cases)('$name refuses a plain $variable between machines', ({ service, variable }) => {
    const url = 'http://peer.internal:5555'
    expect(problemsOf(service, { [variable]: url })).toEqual([refusal(service, variable, url)])
  })

  it.each(cases)('$name accepts $variable over https, on loopback or in a mesh', ({ service, variable }) => {
    for (const url of ['https://peer.internal', 'http://localhost:1', 'http://127.0.0.1:1', 'http://[::1]:1'])
      expect([url, problemsOf(service, { [variable]: url })]).toEqual([url, []])
    const plain = 'http://peer.internal:5555'
    expect(problemsOf(service, { [variable]: plain, MESH: 'istio' })).toEqual([])
    const inDevelopment = problemsOf(service, { [variable]: plain, NODE_ENV: 'development' })
    expect(inDevelopment).toEqual(service.keys?.includes(variable) ? [refusal(service, variable, plain)] : [])
  })

  it.each(Object.entries(SERVICES))('%s names all plain URLs at once', (_name, service) => {
    const urls = [...service.urls, ...(service.keys ?? [])]
    const plain = Object.fromEntries(urls.map((variable) => [variable, 'http://peer.internal']))
    const named = problemsOf(service, plain).map((problem) => problem.split(' ', 1)[0])
    expect(named.sort()).toEqual([...urls].sort())
  })

  it.each([
    ['backend-api', 'ISSUER', 'JWKS_URL'],
    ['sse-gateway', 'ISSUER', 'JWKS_URL'],
    ['sse-server', 'ISSUER', 'JWKS_URL'],
    ['token-cache-proxy', 'CALLER_ISSUER', 'CALLER_JWKS_URL'],
    ['service-b', 'TOKEN_ISSUER', 'TOKEN_JWKS_URL'],
    ['service-c', 'TOKEN_ISSUER', 'TOKEN_JWKS_URL'],
  ])('%s never loads the keys of an https issuer over http', (name, issuer, jwksUrl) => {
    const service = SERVICES[name] as TrustingService
    for (const more of [{}, { MESH: 'istio' }, { NODE_ENV: 'development' }])
      for (const url of ['http://localhost:1/jwks', 'http://user:secret@peer.internal/jwks'])
        expect(problemsOf(service, { [issuer]: 'https://issuer/', [jwksUrl]: url, ...more })).toEqual([
          `${jwksUrl} must be an https URL, because the issuer is one ("https://issuer/"), but is "${url.replace('user:secret@', '')}"`,
        ])
  })

  it.each(['sse-gateway', 'sse-server'])('%s with a JWKS file takes any name for its issuer', (name) => {
    const service = SERVICES[name] as TrustingService
    const more = { ISSUER: 'http://issuer.internal', JWKS_URL: '', JWKS_FILE: '/etc/jwks.json' }
    for (const NODE_ENV of ['production', 'development'])
      expect(problemsOf(service, { ...more, NODE_ENV })).toEqual([])
  })

  it.each(Object.entries(SERVICES))('%s takes only the name of a mesh', (_name, service) => {
    for (const MESH of ['true', '1', 'Istio!', 'none'])
      expect([MESH, problemsOf(service, { MESH })]).toEqual([
        MESH,
        ['MESH: must be the name of a mesh, e.g. istio or linkerd'],
      ])
  })

  it('reads every other URL without trust', () => {
    const folders = ['', 'spiffe', 'token-cache'].flatMap((folder) =>
      readdirSync(join(import.meta.dirname, '..', folder)).map((name) => join(folder, name)),
    )
    const read = [
      ...folders.flatMap((folder) => [`${folder}/src/config.ts`, ...sourcesIn(`${folder}/src/config`)]),
      'packages/service-kit/src/process/config.ts',
    ]
    const untrusted = read.flatMap((file) => {
      try {
        const source = readFileSync(join(import.meta.dirname, '..', file), 'utf8')
        const names = [...source.matchAll(/variables\.(?:url|optionalUrl)\(\s*'(\w+)'/g)].map(
          ([, name]) => name,
        )
        // Checked after they are read.
        return names.filter((name) => !CHECKED.includes(name as string))
      } catch {
        return []
      }
    })
    expect([...new Set(untrusted)].sort()).toEqual(Object.keys(NOT_TRUSTED).sort())
  })
})

function sourcesIn(folder: string): string[] {
  try {
    return readdirSync(join(import.meta.dirname, '..', folder)).map((name) => `${folder}/${name}`)
  } catch {
    return []
  }
}

describe('NODE_ENV=production and Redis', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trusted-urls-'))
    await writeFile(join(folder, 'password'), 'p@ss/word\n')
    await writeFile(join(folder, 'empty'), '\n')
    await writeFile(join(folder, 'ca.pem'), 'a CA')
  })
  afterAll(() => rm(folder, { recursive: true }))

  const REMEDY =
    'which NODE_ENV=production does not allow: use rediss:// (TLS) with a password, e.g. in REDIS_PASSWORD_FILE, or set ' +
    'MESH to the name of the mesh that encrypts and authenticates this connection'
  const withRedis = Object.entries(SERVICES).filter(([, { redis }]) => redis)

  it.each(withRedis)('%s refuses Redis without TLS or without a password', (_name, service) => {
    const problems = (REDIS_URL: string, more: Environment = {}) =>
      problemsOf(service, { REDIS_URL, ...more })
    expect(problems('redis://redis:6379')).toEqual([
      `REDIS_URL is not encrypted and has no password, ${REMEDY}`,
    ])
    expect(problems('redis://:secret@redis:6379')).toEqual([`REDIS_URL is not encrypted, ${REMEDY}`])
    expect(problems('rediss://redis:6379')).toEqual([`REDIS_URL has no password, ${REMEDY}`])
    expect(problems('rediss://user@redis:6379')).toEqual([`REDIS_URL has no password, ${REMEDY}`])
    expect(problems('rediss://:secret@redis:6379')).toEqual([])
    expect(problems('rediss://redis:6379', { REDIS_PASSWORD_FILE: join(folder, 'password') })).toEqual([])
    expect(problems('redis://127.0.0.1:6379')).toEqual([])
    expect(problems('redis://redis:6379', { MESH: 'linkerd' })).toEqual([])
  })

  it.each(withRedis)('%s reads the password and the CA from files', (_name, { loadConfig, env }) => {
    const files = { REDIS_PASSWORD_FILE: join(folder, 'password'), REDIS_CA_FILE: join(folder, 'ca.pem') }
    const config = loadConfig(production({ ...env, ...files, REDIS_URL: 'rediss://redis:6379/0' })) as object
    expect('store' in config ? config.store : config).toMatchObject({
      redis: { url: 'rediss://:p%40ss%2Fword@redis:6379/0', ca: 'a CA' },
    })
    for (const [more, problem] of [
      [{ REDIS_PASSWORD_FILE: join(folder, 'none') }, /^REDIS_PASSWORD_FILE: ENOENT/],
      [{ REDIS_PASSWORD_FILE: join(folder, 'empty') }, /^REDIS_PASSWORD_FILE must contain the password/],
      [{ REDIS_CA_FILE: join(folder, 'none') }, /^REDIS_CA_FILE: ENOENT/],
    ] as const)
      expect(
        problemsOf({ loadConfig, urls: [], env: { ...env } }, { REDIS_URL: 'redis://localhost', ...more }),
      ).toEqual([expect.stringMatching(problem)])
  })
})

describe('NODE_ENV=production and listeners', () => {
  it.each([
    ['jwt-factory', jwtFactory, CALLERS, 'HTTPS_PORT is required with NODE_ENV=production'],
    ['sse-server', sseServer, { ISSUER: 'https://i', AUDIENCE: 'a' }, 'CERT_FILE and KEY_FILE are required'],
    ['token-cache-api', tokenCacheApi, { TLS: 'false' }, 'TLS=false is not allowed with NODE_ENV=production'],
  ])('%s needs a certificate, a mesh or a loopback address', (_name, loadConfig, env, problem) => {
    const service = { loadConfig, env, urls: [] }
    expect(problemsOf(service, {})).toEqual([expect.stringContaining(problem)])
    for (const more of [
      { HTTPS_PORT: '5443', ...FILES, TLS: 'true' },
      { MESH: 'istio' },
      { HOST: '127.0.0.1' },
    ])
      expect(problemsOf(service, more)).toEqual([])
  })
})
