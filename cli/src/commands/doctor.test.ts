import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { freePorts } from '@hallpass/free-ports'
import { startServiceProcess } from '@hallpass/service-kit/testing'
import { publicJwk, publicJwks } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterEach, describe, expect, it } from '@jest/globals'
import { startTestProvider, type TestProviderOptions } from '../testing/openid-provider.ts'
import { type RunCliOptions, runCli } from '../testing/run-cli.ts'

const DISCOVERY = '/.well-known/openid-configuration'
const OAUTH = '/.well-known/oauth-authorization-server'
const key = (alg: 'RS256' | 'ES256' | 'EdDSA' = 'RS256', kid = 'key-1') => publicJwk(testKey(alg, kid))

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function provider(options: TestProviderOptions = {}) {
  const started = await startTestProvider(options)
  stops.push(started.stop)
  return started
}

const doctor = (issuer: string, args: readonly string[] = [], options: RunCliOptions = {}) =>
  runCli(['doctor', '--issuer', issuer, ...args], options)

/** Runs the doctor and returns its findings that are not good, as `state: what => remedy`, with `URL` for the server. */
async function findingsOf(
  options: TestProviderOptions,
  {
    issuer = (url: string) => url,
    args = [] as unknown as string[],
    ...run
  }: RunCliOptions & {
    issuer?: (url: string) => string
    args?: string[]
  } = {},
) {
  const { url } = await provider(options)
  const { exitCode, out, err } = await doctor(issuer(url), ['--json', ...args], run)
  const { findings } = JSON.parse(out) as {
    findings: { state: string; what: string; remedy?: string }[]
  }
  const found = findings
    .filter(({ state }) => state !== 'good')
    .map(({ state, what, remedy }) => `${state}: ${what}${remedy === undefined ? '' : ` => ${remedy}`}`)
    .map((text) => text.replaceAll(url, 'URL'))
  const bad = findings.filter(({ state }) => state === 'bad').length
  expect(exitCode).toBe(bad > 0 ? 1 : 0)
  expect(err).toBe(bad > 0 ? `hallpass: ${bad} problem${bad > 1 ? 's' : ''} found.` : '')
  return found
}

describe('hallpass doctor --issuer', () => {
  it('prints what a good provider has, and the settings for the services', async () => {
    const { url, requests } = await provider()
    const { exitCode, out, err } = await doctor(url, ['--client-id', 'web', '--audience', 'https://api'])
    expect([exitCode, err]).toEqual([0, ''])
    expect(out.replaceAll(url, 'URL').split('\n')).toEqual([
      `✓ OpenID configuration at URL${DISCOVERY}`,
      '✓ The issuer is exactly URL',
      '✓ The clock of the issuer agrees with this one (the header Date has a resolution of 1 s)',
      '✓ The code flow with PKCE (S256) is offered',
      '✓ 1 usable key at URL/keys',
      '',
      'Endpoints',
      '  authorization_endpoint  URL/authorize',
      '  token_endpoint          URL/token',
      '  jwks_uri                URL/keys',
      '  userinfo_endpoint       URL/userinfo',
      '  end_session_endpoint    URL/logout',
      '  revocation_endpoint     URL/revoke',
      '  introspection_endpoint  URL/introspect',
      '',
      'Keys',
      '  key-1  RS256  RSA 2048',
      '',
      'Settings of web-ui',
      '  SHOULD_AUTHENTICATE=true',
      '  ISSUER_BASE_URL=URL',
      '  AUTH0_CLIENT_ID=web',
      '  AUTH0_SECRET_FILE=YOUR_SECRET_FILE',
      "  SCOPE='openid profile email offline_access'",
      '  AUDIENCE=https://api',
      '',
      'Settings of backend-api',
      '  ACCESS=guarded',
      '  ISSUER=URL',
      '  AUDIENCE=https://api',
      '',
      'Settings of sse-gateway',
      '  ISSUER=URL',
      '  AUDIENCE=https://api',
      '  JWKS_URL=URL/keys',
      '',
      '2 GET requests were sent, without credentials.',
    ])
    expect(requests).toEqual([`GET ${DISCOVERY}`, 'GET /keys'])
  })

  it.each<[string, string, (url: string) => string, string, string]>([
    [
      'a slash too few',
      '',
      (url) => `${url}/`,
      'URL/, not URL: a slash at the end is missing.',
      'must be exactly URL/',
    ],
    ['another path', '', (url) => `${url}/a`, 'URL/a, not URL: another path.', 'must be exactly URL/a'],
    [
      'upper case',
      '',
      (url) => url.replace('localhost', 'LOCALHOST'),
      'the same URL, written differently',
      'must be exactly http://LOCALHOST',
    ],
    [
      'https',
      '',
      (url) => url.replace('http:', 'https:'),
      'https instead of http',
      'use it as ISSUER_BASE_URL and ISSUER',
    ],
    [
      'another host',
      '',
      () => 'https://other.example',
      'another host',
      'If https://other.example is the provider that you trust',
    ],
    ['no URL', '', () => 'other', 'it is not a URL', 'If other is the provider'],
    [
      'a template',
      '',
      () => 'https://login.example/{tenantid}/v2.0',
      'is a template',
      'Use the URL of one tenant',
    ],
  ])('tells that the document has another issuer: %s', async (_what, path, named, what, remedy) => {
    const found = await findingsOf({ path, metadata: (url) => ({ issuer: named(url) }) })
    expect(found).toEqual([expect.stringMatching(/^bad: The document /)])
    expect(found[0]).toContain(what)
    expect(found[0]).toContain(remedy)
  })

  it('tells that the given issuer has a slash too many', async () => {
    const found = await findingsOf({}, { issuer: (url) => `${url}/` })
    expect(found).toEqual([
      'bad: The document has the issuer URL, not URL/: the slash at the end is too much. Tokens have the issuer of the document, so every token is rejected => ISSUER_BASE_URL and ISSUER must be exactly URL',
    ])
  })

  it.each<[string, (url: string) => Record<string, unknown>, string[]]>([
    [
      'PKCE with S256',
      () => ({ code_challenge_methods_supported: ['plain'] }),
      [
        'bad: PKCE with S256 is not offered, only plain; the web UI always uses S256 (RFC 7636 §4.2) => At the provider: allow the code challenge method S256 for the client.',
      ],
    ],
    [
      'the response type code',
      () => ({ response_types_supported: ['id_token', 'token'] }),
      [
        'bad: The response type code is not offered, only id_token, token: the web UI uses the authorization code flow => At the provider: allow the authorization code flow (standard flow) for the client.',
      ],
    ],
    [
      'a known way to authenticate',
      () => ({ token_endpoint_auth_methods_supported: ['tls_client_auth'] }),
      [
        'bad: No offered way to authenticate the client fits: tls_client_auth; CLIENT_AUTH can be client_secret_basic, client_secret_post, private_key_jwt, none => At the provider: allow one of them for the client.',
      ],
    ],
    [
      'client_secret_basic',
      () => ({ token_endpoint_auth_methods_supported: ['tls_client_auth', 'client_secret_post'] }),
      [
        'note: The client cannot authenticate with client_secret_basic, the default, only with tls_client_auth, client_secret_post => For the web UI: CLIENT_AUTH=client_secret_post',
      ],
    ],
    [
      'an accepted algorithm',
      () => ({ id_token_signing_alg_values_supported: ['HS256', 'none', 'ES256K'] }),
      [
        'bad: ID tokens are signed with HS256, none, ES256K, which no service accepts (with HMAC, every verifier could also sign) => At the provider: sign ID tokens and access tokens of this client with RS256, ES256 or EdDSA.',
      ],
    ],
    [
      'a list of only accepted algorithms',
      () => ({ id_token_signing_alg_values_supported: ['Ed448', 'RS256', 'HS256'] }),
      [
        'note: ID tokens may be signed with Ed448, HS256, which no service accepts => At the provider: choose RS256 for the client.',
      ],
    ],
    [
      'a key for its algorithm',
      () => ({ id_token_signing_alg_values_supported: ['ES256'] }),
      [
        'bad: ID tokens are signed with ES256, but no published key fits => At the provider: publish the key that signs ID tokens, or sign with one of the published keys.',
      ],
    ],
    [
      'the scope openid',
      () => ({ scopes_supported: ['profile', 'email', 'offline_access'] }),
      [
        'bad: The scope openid is not offered: there are no ID tokens => At the provider: enable OpenID Connect for the client.',
      ],
    ],
    [
      'the scope offline_access',
      () => ({ scopes_supported: ['openid', 'profile', 'email'] }),
      [
        'note: Scopes are not announced that the web UI asks for by default: offline_access (without a refresh token, sessions end with the access token) => If the provider rejects them, for the web UI: SCOPE="openid profile email"',
      ],
    ],
    [
      'a token endpoint',
      () => ({ token_endpoint: undefined }),
      [
        'bad: There is no token_endpoint: the web UI cannot log in anyone here => At the provider: enable the authorization code flow.',
      ],
    ],
    [
      'a JWKS',
      () => ({ jwks_uri: undefined }),
      [
        'bad: There is no jwks_uri: no service can verify a token => JWKS_URL=URL of the keys, for every service, if the provider has one.',
      ],
    ],
    [
      'a usable URL of its JWKS',
      () => ({ jwks_uri: 'file:///etc/passwd' }),
      [
        'bad: jwks_uri is not an http or https URL: "file:///etc/passwd" => At the provider: an absolute https URL.',
        'bad: There is no jwks_uri: no service can verify a token => JWKS_URL=URL of the keys, for every service, if the provider has one.',
      ],
    ],
    [
      'encrypted endpoints',
      () => ({ token_endpoint: 'http://provider.example/token' }),
      [
        'bad: token_endpoint is not encrypted, unlike the issuer: http://provider.example/token; the services do not call it => At the provider: set its external URL to https, e.g. let it trust X-Forwarded-Proto of its proxy.',
        'note: Endpoints are also at http://provider.example => Network policies and firewalls must allow these hosts too.',
      ],
    ],
    [
      'plain authorization requests',
      () => ({ require_pushed_authorization_requests: true }),
      [
        'bad: The provider requires pushed authorization requests (RFC 9126), which the web UI does not use => At the provider: do not require it for this client.',
      ],
    ],
    [
      'optional endpoints',
      () => ({
        userinfo_endpoint: undefined,
        end_session_endpoint: undefined,
        revocation_endpoint: undefined,
        introspection_endpoint: undefined,
        backchannel_logout_supported: undefined,
        authorization_response_iss_parameter_supported: undefined,
        code_challenge_methods_supported: undefined,
      }),
      [
        expect.stringContaining('note: PKCE is not announced'),
        expect.stringContaining('note: There is no userinfo_endpoint: the profile shows only'),
        expect.stringContaining('note: There is no end_session_endpoint: logging out ends only'),
        expect.stringContaining('note: There is no revocation_endpoint: logging out cannot revoke'),
        expect.stringContaining('note: There is no introspection_endpoint: the backends and the SSE gateway'),
        expect.stringContaining('note: Back-channel logout is not announced'),
        expect.stringContaining('note: The authorization response does not name its issuer'),
      ] as unknown as string[],
    ],
  ])('finds a provider without %s', async (_what, metadata, findings) => {
    expect(await findingsOf({ metadata })).toEqual(findings)
  })

  it('takes an issuer without a login for one of workloads, unless users are to log in', async () => {
    const metadata = () => ({ authorization_endpoint: undefined, token_endpoint: undefined })
    expect(await findingsOf({ metadata })).toEqual([
      expect.stringContaining('note: There is no authorization_endpoint: no login at the web UI'),
    ])
    expect(await findingsOf({ metadata }, { args: ['--client-id', 'web'] })).toEqual([
      expect.stringContaining(
        'bad: There is no authorization_endpoint: the web UI cannot log in anyone here',
      ),
      expect.stringContaining('bad: There is no token_endpoint: the web UI cannot log in anyone here'),
    ])
  })

  it.each<[string, unknown, string[]]>([
    [
      'empty',
      { keys: [] },
      [expect.stringContaining('bad: The key set URL/keys is empty') as unknown as string],
    ],
    [
      'no key set',
      {},
      [
        expect.stringContaining(
          'bad: Every verifier rejects the key set URL/keys: A key set is an object',
        ) as unknown as string,
      ],
    ],
    [
      'with a private key',
      { keys: [{ ...key(), d: 'AQAB' }] },
      [
        expect.stringContaining(
          'The set publishes the private part of a key (RFC 7517 §9.2). => At the provider: replace this key at once',
        ) as unknown as string,
      ],
    ],
    [
      'with a secret',
      { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] },
      [expect.stringContaining('=> At the provider: replace this secret at once') as unknown as string],
    ],
    [
      'with one kid twice',
      { keys: [key(), key('ES256')] },
      [
        expect.stringContaining(
          'The set has no usable key: key 1: Another key of the set has the same kid; key 2: Another key of the set has the same kid.',
        ) as unknown as string,
      ],
    ],
    [
      'too large',
      { keys: Array.from({ length: 101 }, (_, n) => key('RS256', `k${n}`)) },
      [
        expect.stringContaining(
          'A key set must have at most 100 keys; this one has 101. => At the provider: remove old keys.',
        ) as unknown as string,
      ],
    ],
    [
      'with an encryption key, and one that is malformed',
      { keys: [key(), { ...key('RS256', 'enc'), use: 'enc' }, { ...key('RS256', 'bad'), n: 'AQAB' }] },
      [
        expect.stringMatching(
          /^bad: Key bad cannot be used \(weak_key\): .* Tokens signed with it are rejected. => At the provider: replace the key/,
        ) as unknown as string,
      ],
    ],
    [
      'with an unknown algorithm',
      { keys: [key(), { ...key('RS256', 'k'), alg: 'ML-DSA-44' }] },
      [
        'note: Key k cannot be used (unsupported_algorithm): The algorithm "ML-DSA-44" is not supported. Tokens signed with it are rejected. => At the provider: sign with another key, or publish this one correctly.',
      ],
    ],
    [
      'with Ed448 beside a usable key, under the name that it shares with Ed25519 (RFC 8037 §3.1)',
      {
        keys: [
          key(),
          {
            ...generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' }),
            kid: 'k',
            alg: 'EdDSA',
          },
        ],
      },
      [
        expect.stringMatching(
          /^note: Key k cannot be used \(.*Tokens signed with it are rejected\./,
        ) as unknown as string,
      ],
    ],
    [
      'without kid',
      { keys: [{ ...key(), kid: undefined }] },
      [
        expect.stringContaining(
          'note: The key has no kid; that is unambiguous while it is the only one',
        ) as unknown as string,
      ],
    ],
    [
      'with several keys without kid',
      {
        keys: [
          { ...key(), kid: undefined },
          { ...key('ES256'), kid: undefined },
        ],
      },
      [expect.stringContaining('bad: 2 of 2 keys have no kid') as unknown as string],
    ],
  ])('judges a key set: %s', async (_what, keys, findings) => {
    expect(await findingsOf({ keys })).toEqual(findings)
  })

  it.each<[string[] | undefined, string[]]>([
    [['RS256'], []],
    [
      ['PS512'],
      [
        'bad: Key key-1 has no alg and is used with RS256, but the provider signs with PS512: every such token is rejected => For every service: TOKEN_ALGORITHMS=PS512',
      ],
    ],
    [
      ['RS256', 'PS256'],
      [
        'note: Key key-1 has no alg and is used with RS256 => If the provider signs with another one (PS256): TOKEN_ALGORITHMS with that one first, for every service.',
      ],
    ],
  ])('judges an RSA key without alg of a provider that announces %j', async (signing, findings) => {
    const found = await findingsOf({
      keys: { keys: [{ ...key(), alg: undefined }] },
      metadata: () => ({ id_token_signing_alg_values_supported: signing }),
    })
    expect(found).toEqual(findings)
  })

  it('suggests only variables that the README of the service has', async () => {
    const { url } = await provider()
    const { out } = await doctor(url, ['--json', '--client-id', 'web', '--audience', 'https://api'])
    const { settings } = JSON.parse(out) as { settings: Record<string, string[]> }
    expect(Object.keys(settings)).toEqual(['web-ui', 'backend-api', 'sse-gateway'])
    for (const [service, lines] of Object.entries(settings)) {
      const readme = await readFile(join(import.meta.dirname, `../../../${service}/README.md`), 'utf8')
      for (const line of lines) expect(readme).toContain(`\`${line.split('=')[0]}\``)
    }
  })

  it('judges with the algorithms of TOKEN_ALGORITHMS, and suggests them', async () => {
    const env = { TOKEN_ALGORITHMS: 'ES256, EdDSA' }
    expect(await findingsOf({}, { env })).toEqual([
      'bad: ID tokens are signed with RS256, which TOKEN_ALGORITHMS excludes => For every service: add RS256 to TOKEN_ALGORITHMS, or remove the variable; by default all ten are accepted',
      'bad: TOKEN_ALGORITHMS excludes the algorithms of all keys at URL/keys: every token is rejected => For every service: add RS256 to TOKEN_ALGORITHMS, or remove the variable; by default all ten are accepted',
    ])
    const both = {
      keys: { keys: [key('RS256', 'r'), key('ES256', 'e')] },
      metadata: () => ({ id_token_signing_alg_values_supported: ['RS256', 'ES256', 'HS256'] }),
    }
    expect(await findingsOf(both, { env })).toEqual([
      'note: ID tokens may be signed with HS256, which no service accepts => At the provider: choose ES256 for the client.',
      'note: ID tokens may be signed with RS256, which TOKEN_ALGORITHMS excludes => At the provider: choose ES256 for the client. Otherwise, for every service: add RS256 to TOKEN_ALGORITHMS, or remove the variable; by default all ten are accepted',
      'note: Key r is not used, because TOKEN_ALGORITHMS excludes RS256. Tokens signed with it are rejected. => If it signs tokens, for every service: add RS256 to TOKEN_ALGORITHMS, or remove the variable; by default all ten are accepted',
    ])
    expect(await findingsOf({ keys: { keys: [{ ...key(), alg: 'ML-DSA-44' }] } }, { env })).toEqual([
      expect.stringContaining('which TOKEN_ALGORITHMS excludes'),
      expect.stringMatching(/^bad: Every verifier rejects .* The algorithm "ML-DSA-44" is not supported/),
    ])
    const { url } = await provider({
      keys: publicJwks([testKey('ES512', 'k')]),
      metadata: () => ({ id_token_signing_alg_values_supported: ['ES512'] }),
    })
    const { out, exitCode } = await doctor(url, [], { env: { TOKEN_ALGORITHMS: 'ES512' } })
    expect([exitCode, out]).toEqual([0, expect.stringContaining('  k  ES512  P-521\n')])
    expect(out).toContain('  TOKEN_ALGORITHMS=ES512')
    expect(await doctor(url, [], { env: { TOKEN_ALGORITHMS: 'HS256' } })).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('hallpass: TOKEN_ALGORITHMS: HS256 is not one of RS256, RS384'),
    })
  })

  it('tells that access tokens and ID tokens have the same audience', async () => {
    const found = await findingsOf({}, { args: ['--client-id', 'web', '--audience', 'web'] })
    expect(found).toEqual([expect.stringContaining('note: The audience is the client ID')])
  })

  it.each<[string, string]>([
    ['max-age=864000', 'note: The key set may be cached for 10 days (max-age=864000)'],
    ['public, max-age=0', 'note: The key set must not be cached (public, max-age=0)'],
  ])('tells what Cache-Control: %s means', async (control, finding) => {
    expect(await findingsOf({ headers: { 'cache-control': control } })).toEqual([
      expect.stringContaining(finding),
    ])
  })

  it.each<[string, number, Record<string, string>, string[]]>([
    [
      'ahead',
      -90,
      {},
      [
        'bad: The clock of the issuer is at least 90 s ahead of this one (the header Date has a resolution of 1 s): its tokens look issued in the future; CLOCK_TOLERANCE_SECONDS is 5 => timedatectl set-ntp true (on both machines)',
      ],
    ],
    [
      'behind',
      20,
      {},
      [
        'bad: The clock of the issuer is at least 19 s behind this one (the header Date has a resolution of 1 s): its tokens look expired too early; CLOCK_TOLERANCE_SECONDS is 5 => timedatectl set-ntp true (on both machines). Until then, for every service: CLOCK_TOLERANCE_SECONDS=20',
      ],
    ],
    [
      'behind',
      20,
      { CLOCK_TOLERANCE_SECONDS: '30' },
      [
        'note: The clock of the issuer is at least 19 s behind this one (the header Date has a resolution of 1 s); CLOCK_TOLERANCE_SECONDS=30 allows it',
      ],
    ],
    ['equal', 0.5, {}, []],
  ])('compares a clock that is %s', async (_what, seconds, env, findings) => {
    const now = Date.parse('2026-11-29T12:00:00Z')
    const found = await findingsOf(
      { headers: { date: new Date(now).toUTCString() } },
      { env, clock: () => now + seconds * 1000 },
    )
    expect(found).toEqual(findings)
  })
})

describe('an issuer that does not answer as it should', () => {
  it.each<[string, TestProviderOptions['routes'], string]>([
    [
      'HTML',
      { [DISCOVERY]: (_q, r) => r.end('<!doctype html><p>Sign in') },
      `bad: URL${DISCOVERY} is not JSON but HTML or XML: <!doctype html><p>Sign in => Check the URL`,
    ],
    [
      'nothing',
      { [DISCOVERY]: (_q, r) => r.end() },
      `bad: URL${DISCOVERY} is not JSON but empty => Check the URL`,
    ],
    [
      'a list',
      { [DISCOVERY]: (_q, r) => r.end('[]') },
      `bad: URL${DISCOVERY} is not a JSON object => Check the URL`,
    ],
    [
      'a member twice',
      { [DISCOVERY]: (_q, r) => r.end('{"issuer":"a","issuer":"b"}') },
      `bad: URL${DISCOVERY}: `,
    ],
    [
      '503',
      { [DISCOVERY]: (_q, r) => r.writeHead(503).end() },
      `bad: URL${DISCOVERY} answers 503 => At the provider: look for the cause in its log.`,
    ],
    [
      '404',
      { [DISCOVERY]: (_q, r) => r.writeHead(404).end() },
      `bad: URL${DISCOVERY} answers 404 => Check the URL`,
    ],
    [
      'a redirect',
      { [DISCOVERY]: (_q, r) => r.writeHead(301, { location: `https://new.example${DISCOVERY}` }).end() },
      `bad: URL${DISCOVERY} redirects to https://new.example${DISCOVERY}; the services follow no redirect => If that is your provider, its issuer may be https://new.example. `,
    ],
    [
      'gzip',
      { [DISCOVERY]: (_q, r) => r.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')) },
      `bad: URL${DISCOVERY} is compressed (gzip), although the request does not allow it`,
    ],
    [
      '20 MB',
      { [DISCOVERY]: (_q, r) => r.end(Buffer.alloc(20_000_000, 32)) },
      `bad: URL${DISCOVERY} is larger than 1 MiB, the limit of the services`,
    ],
    [
      'control characters',
      { [DISCOVERY]: (_q, r) => r.end('\u001b[2Jx') },
      `bad: URL${DISCOVERY} is not JSON but this: \u001b[2Jx`,
    ],
  ])('with %s', async (what, routes, finding) => {
    const found = await findingsOf(routes === undefined ? {} : { routes })
    expect(found[0]).toContain(finding)
    expect(found.slice(1)).toEqual(
      what === '20 MB' ? [] : [`note: There is no OAuth metadata (RFC 8414) at URL${OAUTH} either`],
    )
  })

  it('does not take a failing OpenID configuration for a missing one', async () => {
    const found = await findingsOf({
      routes: {
        [DISCOVERY]: (_request, response) => response.writeHead(503).end(),
        [OAUTH]: ({ headers }, response) =>
          response.end(
            JSON.stringify({ issuer: `http://${headers.host}`, jwks_uri: `http://${headers.host}/keys` }),
          ),
      },
    })
    expect(found).toEqual([
      `bad: URL${DISCOVERY} answers 503 => At the provider: look for the cause in its log.`,
      expect.stringContaining(`note: Only OAuth metadata (RFC 8414) at URL${OAUTH}`),
    ])
  })

  it('names a connection that is closed without an answer', async () => {
    const [found] = await findingsOf({
      routes: { [DISCOVERY]: (request) => void request.socket.destroy() },
    })
    expect(found).toBe(
      'bad: URL closed the connection without an answer (UND_ERR_SOCKET) => Check the port and the scheme. If the provider has TLS: https.',
    )
  })

  it('escapes what it prints', async () => {
    const { url } = await provider({
      metadata: () => ({ issuer: 'https://x\u001b[2J\nnew line\u202e' }),
    })
    const { out } = await doctor(url)
    expect(out).toContain('https://x\\u001b[2J\\nnew line\\u202e')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters to find
    expect(out).not.toMatch(/[\u001b\u202e]/)
  })

  it('quotes values of the issuer, because a shell reads the settings', async () => {
    const { url } = await provider({
      metadata: (own) => ({ jwks_uri: `${own}/keys?$(id)'` }),
      routes: {
        '/keys?$(id)%27': (_request, response) =>
          response.end(JSON.stringify(publicJwks([testKey('RS256', 'k')]))),
      },
    })
    const { out, exitCode } = await doctor(url)
    expect(exitCode).toBe(0)
    expect(out).toContain(`  JWKS_URL='${url}/keys?$(id)'\\'''`)
  })

  it('asks only once if the host does not answer', async () => {
    const [port] = await freePorts(1)
    const url = `http://localhost:${port}`
    const { out, exitCode } = await doctor(url)
    expect([exitCode, out.split('\n').slice(0, 2)]).toEqual([
      1,
      [`✗ ${url} is not reachable (ECONNREFUSED)`, '    Check the port, and that the provider runs.'],
    ])
    expect(out).toContain('1 GET request was sent')
    const proxied = await doctor(url, [], { env: { HTTPS_PROXY: 'http://proxy' } })
    expect(proxied.out).toContain('The services connect directly: they do not use the proxy of HTTPS_PROXY.')
  })

  it('names a host that does not exist', async () => {
    const { out, exitCode } = await doctor('https://no-such-host.invalid')
    expect([exitCode, out]).toEqual([
      1,
      expect.stringMatching(/The name no-such-host.invalid cannot be resolved \((ENOTFOUND|EAI_AGAIN)\)/),
    ])
  })

  it('tells that an answer is slower than the services wait', async () => {
    const found = await findingsOf({
      routes: {
        '/keys': (_request, response) =>
          void setTimeout(() => response.end(JSON.stringify(publicJwks([testKey('RS256', 'k')]))), 2_600),
      },
    })
    expect(found).toEqual([
      expect.stringMatching(
        /^bad: URL\/keys answered after [23]\.\d s; the services wait for 2\.5 s => At the provider/,
      ),
    ])
  })

  it('reads the address of an IPv6 host', async () => {
    const server = net.createServer((socket) => socket.end('SSH-2.0-x\r\n').destroySoon())
    await new Promise<void>((resolve) => server.listen(0, '::1', resolve))
    stops.push(() => server.close())
    const url = `http://[::1]:${(server.address() as AddressInfo).port}`
    const { out } = await doctor(url)
    expect(out).toContain(`✗ ${url} does not speak HTTP (`)
  })
})

describe('the certificate of an issuer', () => {
  it('is trusted with --ca, and else needs NODE_EXTRA_CA_CERTS', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hallpass-doctor-tls-'))
    stops.push(() => rm(folder, { recursive: true }))
    const { certFile, keyFile, caFile } = await ensureDevelopmentCertificates(folder)
    const [cert, privateKey] = await Promise.all([readFile(certFile), readFile(keyFile)])
    const { url } = await provider({
      server: (listener) => https.createServer({ cert, key: privateKey }, listener),
    })
    const untrusted = await doctor(url)
    expect([untrusted.exitCode, untrusted.out]).toEqual([
      1,
      expect.stringMatching(
        /✗ The certificate of https:\/\/localhost:\d+ is not signed by a trusted CA \(\w+\)\n {4}.*NODE_EXTRA_CA_CERTS=ca.pem for every service; --ca ca.pem here./,
      ),
    ])
    const trusted = await doctor(url, ['--ca', caFile])
    expect(trusted.exitCode).toBe(0)
    expect(trusted.out).toContain(`  NODE_EXTRA_CA_CERTS=${caFile}`)
    const plain = await provider()
    const wrong = await doctor(plain.url.replace('http:', 'https:'))
    expect(wrong.out).toMatch(/✗ https:\/\/localhost:\d+ does not speak TLS \(/)
  })
})

describe('the issuers of the suite', () => {
  it('identity-provider fits', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hallpass-doctor-idp-'))
    stops.push(() => rm(folder, { recursive: true }))
    const [port] = await freePorts(1)
    const issuer = `http://localhost:${port}`
    const service = await startServiceProcess(
      join(import.meta.dirname, '../../../identity-provider/src/main.ts'),
      { PORT: String(port), ISSUER: issuer, STATE_FOLDER: folder },
    )
    stops.unshift(() => service.kill())
    const { exitCode, out } = await doctor(issuer, ['--json', '--client-id', 'web-ui'])
    const { findings } = JSON.parse(out) as { findings: { state: string; what: string }[] }
    expect(findings.filter(({ state }) => state !== 'good')).toEqual([
      {
        state: 'note',
        what: 'There is no introspection_endpoint: the backends and the SSE gateway cannot verify opaque access tokens, only JWTs',
      },
    ])
    expect(exitCode).toBe(0)
  }, 30_000)

  it('jwt-factory has OAuth metadata only, and fits services with JWKS_URL', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hallpass-doctor-factory-'))
    stops.push(() => rm(folder, { recursive: true }))
    const [port] = await freePorts(1)
    const issuer = `http://localhost:${port}`
    const service = await startServiceProcess(join(import.meta.dirname, '../../../jwt-factory/src/main.ts'), {
      PORT: String(port),
      ISSUER: issuer,
      ALGORITHM: 'ES256',
      STATE_FOLDER: folder,
    })
    stops.unshift(() => service.kill())
    const empty = await doctor(issuer)
    expect([empty.exitCode, empty.out]).toEqual([
      1,
      expect.stringContaining('is empty: no token can be verified'),
    ])
    await fetch(`${issuer}/keys/servicea`)
    const { exitCode, out } = await doctor(issuer)
    expect(exitCode).toBe(0)
    expect(out).toContain(`· Only OAuth metadata (RFC 8414) at ${issuer}${OAUTH}`)
    expect(out).toContain(`    For every service: JWKS_URL=${issuer}/.well-known/jwks.json`)
    expect(out).toContain(`  JWKS_URL=${issuer}/.well-known/jwks.json`)
    expect(out).not.toContain('Settings of web-ui')
    const login = await doctor(issuer, ['--client-id', 'web'])
    expect([login.exitCode, login.out]).toEqual([
      1,
      expect.stringContaining('✗ There is no OpenID configuration: the web UI cannot log in anyone here'),
    ])
  }, 30_000)
})

describe('the command line of hallpass doctor', () => {
  it.each([
    [['--issuer', 'file:///etc/passwd'], 'file:///etc/passwd is not an http or https URL.'],
    [['--issuer', 'issuer.example'], 'issuer.example is not an http or https URL.'],
    [['--issuer', 'https://user:secret@issuer.example'], 'The URL contains a password'],
    [
      ['--issuer', 'https://issuer.example/?tenant=1'],
      'An issuer is a URL without query, fragment and spaces (RFC 8414 §2).',
    ],
    [['--issuer', 'https://issuer.example/#a'], 'An issuer is a URL without query'],
    [['--issuer', ' https://issuer.example'], 'An issuer is a URL without query'],
    [['--issuer', 'https:/issuer.example'], 'An issuer is a URL without query'],
    [
      ['--issuer', `https://issuer.example/a${DISCOVERY}`],
      'This is the discovery document, not the issuer. Try --issuer https://issuer.example/a',
    ],
    [
      ['--issuer', 'https://a.example', '--issuer', 'https://b.example'],
      'The option --issuer is given twice.',
    ],
    [['--audience', 'a'], '--audience requires --issuer.'],
    [['--client-id', 'a'], '--client-id requires --issuer.'],
    [['--ca', 'a'], '--ca requires --issuer.'],
  ])('rejects %j', async (args, message) => {
    const { exitCode, err, out } = await runCli(['doctor', ...args])
    expect([exitCode, err, out]).toEqual([2, expect.stringContaining(message), ''])
  })

  it('shows in its help what it sends', async () => {
    const { out } = await runCli(['help', 'doctor'])
    expect(out).toContain('most three GET requests, without credentials, and follows no redirect')
  })
})
