import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '@hallpass/service-kit'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from './index.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gateway-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function file(text: string) {
  const name = join(folder, 'gateway.yaml')
  await writeFile(name, text)
  return { GATEWAY_CONFIG: name }
}

function problems(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('the configuration', () => {
  it('has the values of the documented commands by default', () => {
    const config = loadConfig({})
    expect([config.port, config.secondPort, config.host, config.challengeWindowMs]).toEqual([
      7143,
      9090,
      '127.0.0.1',
      10_000,
    ])
    expect(config.paths).toEqual({
      '/events': {
        upstream: { url: 'http://localhost:8001/events' },
        issuers: [
          {
            issuer: 'https://auth.example.com',
            audience: 'https://api.example.com',
            tokenUse: 'scoped',
            administers: 'own',
            jwksFile: '.hallpass/sse/jwks.json',
          },
        ],
        scopes: ['proxy:stream'],
        rolesClaim: 'scope',
        expiry: 'required',
        issuedAt: 'optional',
        subject: 'optional',
      },
    })
  })

  it.each([
    ['', 'SCOPES must name at least one scope'],
    [',', 'SCOPES must be a list separated by commas, without empty items, but is ","'],
    ['a b', 'SCOPES must separate scopes by commas, not by spaces, but is "a b"'],
  ])('requires the scopes %j to be named, or every token would open a stream', (SCOPES, problem) => {
    expect(problems({ SCOPES })).toEqual([problem])
  })

  it('accepts spaces in roles', () => {
    const config = loadConfig({ ROLES_CLAIM: 'roles', SCOPES: 'Event reader,b' })
    expect(config.paths['/events']?.scopes).toEqual(['Event reader', 'b'])
  })

  it('takes the public URL as an https origin, because metadata documents are at its root', () => {
    expect(loadConfig({ PUBLIC_URL: 'https://events.example.com:443/' }).publicUrl).toBe(
      'https://events.example.com',
    )
    for (const PUBLIC_URL of [
      'http://events.example.com',
      'https://example.com/sse',
      'https://example.com?x',
    ])
      expect(problems({ PUBLIC_URL })).toEqual([
        'PUBLIC_URL must be https without a path, such as https://events.example.com',
      ])
  })

  it('is read from a file with several paths and issuers', async () => {
    const env = await file(`
paths:
  /events:
    upstream: https://events.internal:8001/events
    scopes: [proxy:stream]
    issuers:
      - { issuer: https://one.example.com, audience: api, jwksFile: keys.json }
      - { issuer: https://two.example.com, audience: api, jwksUrl: https://two.example.com/jwks.json }
  /orders:
    upstream: https://orders.internal/stream
    scopes: [orders:read, proxy:stream]
    rolesClaim: realm_access.roles
    subject: required
    issuers: [{ issuer: https://one.example.com, audience: orders, jwksFile: /etc/keys.json }]
`)
    const { paths } = loadConfig({ NODE_ENV: 'production', ...env })
    expect(paths['/events']?.issuers.map(({ jwksFile, jwksUrl }) => jwksFile ?? jwksUrl)).toEqual([
      join(folder, 'keys.json'),
      'https://two.example.com/jwks.json',
    ])
    expect(paths['/orders']).toMatchObject({ rolesClaim: 'realm_access.roles', subject: 'required' })
  })

  it('reports all problems together, of the file and of the environment', async () => {
    const env = await file(`
paths:
  events:
    upstream: ftp://x
    scopes: []
    issuers: [{ issuer: https://one.example.com, audience: api }]
  /x: { upstream: http://x, scopes: [a], issuers: [], colour: red }
`)
    expect(problems({ ...env, PORT: 'abc', REDIS_URL: 'http://x', HEARTBEAT_SECONDS: '0' })).toEqual([
      'REDIS_URL must be a redis or rediss URL',
      'GATEWAY_CONFIG paths.events.upstream.url: Invalid URL',
      'GATEWAY_CONFIG paths.events.issuers.0: needs exactly one of jwksFile, jwksUrl and introspection',
      'GATEWAY_CONFIG paths.events.scopes: Too small: expected array to have >=1 items',
      'GATEWAY_CONFIG paths./x.issuers: Too small: expected array to have >=1 items',
      'GATEWAY_CONFIG paths./x: Unrecognized key: "colour"',
      'GATEWAY_CONFIG paths.events: must be a path such as /events',
      'PORT must be an integer from 0 to 65535, but is "abc"',
      'HEARTBEAT_SECONDS must be an integer from 1 to 2147483, but is "0"',
    ])
  })

  it('checks how the keys of each issuer are loaded; with a file, an issuer is only a name', async () => {
    const env = await file(`
      paths:
        /a:
          upstream: http://localhost:8001/a
          scopes: [a]
          issuers:
            - { issuer: http://one.example, audience: a, jwksFile: jwks.json }
            - { issuer: http://two.example, audience: a, jwksUrl: http://two.example/jwks }
            - { issuer: https://three.example, audience: a, jwksUrl: http://localhost:1/jwks }
            - { issuer: http://localhost:9000, audience: a, jwksUrl: http://localhost:9000/jwks }
    `)
    const plain = (name: string, url: string) =>
      `GATEWAY_CONFIG paths./a.issuers.1.${name} is not encrypted, so anyone on the network can replace its keys and sign tokens: ` +
      `use an https URL, or set MESH to the name of the mesh that encrypts and authenticates this connection (e.g. MESH=istio), but is "${url}"`
    const mismatch =
      'GATEWAY_CONFIG paths./a.issuers.2.jwksUrl must be an https URL, because the issuer is one ' +
      '("https://three.example"), but is "http://localhost:1/jwks"'
    expect(problems(env)).toEqual([
      plain('issuer', 'http://two.example'),
      plain('jwksUrl', 'http://two.example/jwks'),
      mismatch,
    ])
    expect(problems({ ...env, MESH: 'istio' })).toEqual([mismatch])
  })

  describe('the topics of a path', () => {
    const SELECTOR =
      '"a*" is not a topic selector: * selects all topics only on its own; one segment is {name}.'
    const OWN = 'must contain {sub}, and no other expression than {sub} and {iss}'

    it('are those of the environment, if it sets any', () => {
      const topicsWith = (env: Record<string, string>) => loadConfig(env).paths['/events']?.topics
      expect(topicsWith({})).toBeUndefined()
      expect(topicsWith({ TOPICS_CLAIM: 'sse' })).toEqual({ form: 'hallpass', claim: 'sse', public: [] })
      expect(topicsWith({ TOPICS_FORM: 'mercure' })).toEqual({
        form: 'mercure',
        claim: 'mercure',
        public: [],
      })
      expect(topicsWith({ TOPICS_FORM: 'mercure', TOPICS_CLAIM: 'x' })?.claim).toBe('x')
      expect(topicsWith({ PUBLIC_TOPICS: 'news,weather/{city}', OWN_TOPIC: 'users/{sub}' })).toEqual({
        form: 'hallpass',
        claim: 'sse',
        public: ['news', 'weather/{city}'],
        own: 'users/{sub}',
      })
    })

    it.each([
      [{ TOPICS_FORM: 'Mercure' }, 'TOPICS_FORM: Invalid option: expected one of "hallpass"|"mercure"'],
      [{ PUBLIC_TOPICS: 'news,a*' }, `PUBLIC_TOPICS: ${SELECTOR}`],
      [{ OWN_TOPIC: 'users' }, `OWN_TOPIC: ${OWN}`],
      [{ OWN_TOPIC: 'users/{subject}' }, `OWN_TOPIC: ${OWN}`],
      [{ OWN_TOPIC: 'users/{sub}/{id}' }, `OWN_TOPIC: ${OWN}`],
      [
        { PUBLISH_URL: 'http://localhost:8001/publish' },
        'Publishing on /events needs topics (TOPICS_CLAIM, or topics in GATEWAY_CONFIG): a claim says which topics a token may publish',
      ],
      [
        { TOPICS_CLAIM: 'sse', PUBLISH_URL: 'http://localhost:8001/publish', PUBLISH_PATH: '/events' },
        'The path /events for publishing on /events is used already',
      ],
      [
        { TOPICS_CLAIM: 'sse', PUBLISH_URL: 'http://localhost:8001/publish', PUBLISH_PATH: '/streams' },
        'The path /streams for publishing on /events is used already',
      ],
      [{ PUBLISH_PATH: 'publish' }, 'PUBLISH_PATH must be a path such as /publish'],
    ])('of the environment are checked: %j', (env, problem) => {
      expect(problems(env as Record<string, string>)).toEqual([problem])
    })

    it('are read from a file, and the owner of a topic is one of its issuer if there are several', async () => {
      const issuers = `[{ issuer: one, audience: a, jwksFile: k }, { issuer: two, audience: a, jwksFile: k }]`
      const withTopics = (topics: string, more = '') =>
        file(
          `paths: { /a: { upstream: http://localhost/a, scopes: [a], issuers: ${issuers}, topics: ${topics} ${more} } }`,
        )
      const good = await withTopics(
        '{ own: "users/{iss}/{sub}", public: [news] }',
        ', publish: { url: http://localhost/p }',
      )
      expect(loadConfig(good).paths['/a']).toMatchObject({
        topics: { claim: 'sse', form: 'hallpass', own: 'users/{iss}/{sub}', public: ['news'] },
        publish: { path: '/publish', url: 'http://localhost/p' },
      })
      expect(problems(await withTopics('{ own: "users/{sub}" }'))).toEqual([
        'GATEWAY_CONFIG paths./a.topics.own must contain {iss}, because the path has several issuers, whose subjects can have the same name',
      ])
      expect(problems(await withTopics('{ public: [news, "a*"], claims: sse }'))).toEqual([
        `GATEWAY_CONFIG paths./a.topics.public.1: ${SELECTOR}`,
        'GATEWAY_CONFIG paths./a.topics: Unrecognized key: "claims"',
      ])
    })

    it('are published where no other path is, to an encrypted URL in production', async () => {
      const rule =
        'scopes: [a], issuers: [{ issuer: https://i.example, audience: a, jwksFile: k }], topics: {}'
      const env = await file(`paths:
  /a: { upstream: https://x.internal/a, ${rule}, publish: { url: http://x.internal/p } }
  /b: { upstream: https://x.internal/b, ${rule}, publish: { url: https://x.internal/p } }`)
      expect(problems({ NODE_ENV: 'production', ...env })).toEqual([
        expect.stringMatching(/^GATEWAY_CONFIG paths\.\/a\.publish\.url /),
        'The path /publish for publishing on /b is used already',
      ])
    })
  })

  it('reports a missing file and a file that is not YAML', async () => {
    expect(problems({ GATEWAY_CONFIG: '/nowhere.yaml' })[0]).toContain('GATEWAY_CONFIG /nowhere.yaml: ENOENT')
    expect(problems(await file('paths: [')).join()).toContain('GATEWAY_CONFIG')
  })

  it('has no keys of its own in production, and issues no development tokens there', () => {
    expect(problems({ NODE_ENV: 'production' })).toEqual([
      'JWKS_URL, JWKS_FILE or INTROSPECTION_URL is required in production: the example keys are only for development',
    ])
    expect(problems({ HOST: '0.0.0.0', DEVELOPMENT_TOKENS: 'on' })).toEqual([
      'DEVELOPMENT_TOKENS issues tokens without authentication, so it requires a loopback HOST and is not allowed in production',
    ])
    expect(loadConfig({ HOST: '0.0.0.0' }).developmentTokens).toBe(false)
    expect(problems({ JWKS_URL: 'https://a.example/jwks', JWKS_FILE: 'x' })).toEqual([
      'JWKS_URL and JWKS_FILE must not both be set',
    ])
  })
})
