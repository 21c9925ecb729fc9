import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from '@hallpass/free-ports'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { fetch as fetchOver, Agent as UndiciAgent } from 'undici'
import {
  authorizeAny,
  authorizeId,
  authorizeMemberOf,
  authorizeOneOf,
  BundleSource,
  cachedValidator,
  fetchBundle,
  JwtSource,
  JwtSvidError,
  type JwtSvidErrorCode,
  matchMemberOf,
  mtlsClient,
  mtlsServer,
  parseAndValidate,
  peerOf,
  SpiffeAgent,
  SpiffeBundle,
  SpiffeId,
  type SpiffeIdErrorCode,
  serveBundle,
  tlsClient,
  tlsServer,
  undiciConnector,
  WorkloadApiClient,
  watchBundle,
  X509BundleSet,
  X509Source,
} from './index.ts'
import { FakeWorkloadApi, TestTrustDomain } from './testing/index.ts'
import { ENDPOINT_VARIABLE } from './workload-api/address.ts'

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const source = readFileSync(import.meta.filename, 'utf8')

/** The examples below, verbatim. */
const examples = [...source.matchAll(/^( *)\/\/ example: (.+)\n([\s\S]+?)\n *\/\/ end$/gm)].map(
  ([, indent = '', name = '', code = '']) => ({
    name,
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }),
)

/** Every code of a rejected token; the compiler checks that the list is complete. */
const CODES: Record<Exclude<JwtSvidErrorCode, SpiffeIdErrorCode>, true> = {
  malformed_token: true,
  alg_not_allowed: true,
  critical_header: true,
  wrong_typ: true,
  malformed_claims: true,
  missing_subject: true,
  missing_expiry: true,
  bundle_missing: true,
  authority_missing: true,
  alg_not_of_key: true,
  invalid_signature: true,
  wrong_audience: true,
  not_yet_valid: true,
  expired: true,
  issued_in_future: true,
  id_mismatch: true,
}

describe('the README', () => {
  it.each(examples.map(({ name, code }) => [name, code]))(
    'shows how to %s, verbatim as tested here',
    (_, code) => {
      expect(readme).toContain(`\`\`\`ts\n${code}\n\`\`\``)
    },
  )

  it('shows only code that is tested here, in at most five lines each', () => {
    const shown = [...readme.matchAll(/```ts\n([\s\S]+?)\n```/g)].map(([, code]) => code as string)
    expect(shown.toSorted()).toEqual(examples.map(({ code }) => code).toSorted())
    expect(shown.filter((code) => code.split('\n').length > 5)).toEqual([])
  })

  it.each(Object.keys(CODES))('explains the code %s', (code) => {
    expect(readme).toMatch(new RegExp(`^\\| \`${code}\` \\| .+ \\|$`, 'm'))
  })
})

describe('the examples', () => {
  let api: FakeWorkloadApi
  let domain: TestTrustDomain
  let port: number

  beforeAll(async () => {
    api = await FakeWorkloadApi.start()
    domain = await TestTrustDomain.create('example.org')
    const issued = await domain.authority.issue(domain.id('/server'))
    api.setX509({ id: domain.id('/server'), issued, bundle: domain.x509Bundle })
    api.setX509Bundles([domain.x509Bundle])
    api.setJwtBundles({ 'example.org': domain.jwtBundle.toJwks() })
    api.onFetchJwtSvid = ({ audience }) => ({
      svids: [{ spiffeId: domain.id('/server'), svid: domain.jwtSvid('/server', audience), hint: '' }],
    })
    api.onValidateJwtSvid = () => ({ spiffeId: domain.id('/server'), claims: { sub: domain.id('/server') } })
    process.env[ENDPOINT_VARIABLE] = api.address
    port = await freePort()
  })
  afterAll(async () => {
    delete process.env[ENDPOINT_VARIABLE]
    await api.close()
  })

  it('get an identity, fetch tokens and validate them', async () => {
    const said: string[] = []
    const log = { info: (line: string) => void said.push(line) }

    // example: get an identity
    const x509 = await X509Source.open({ timeoutMs: 30_000 }) // the agent's address is in SPIFFE_ENDPOINT_SOCKET
    const svid = x509.getX509Svid() // the current SVID; call this each time, do not store the result
    log.info(`I am ${svid.id} until ${new Date(svid.expiresAt).toISOString()}`)
    x509.on('update', ({ id }) => log.info(`${id} was renewed`))
    x509.on('withdraw', ({ message }) => log.info(`I have no identity any more: ${message}`))
    // end
    expect(said).toEqual([expect.stringMatching(/^I am spiffe:\/\/example\.org\/server until 20/)])

    // example: get a token
    const jwt = await JwtSource.open()
    const token = await jwt.fetchJwtSvid({ audience: 'spiffe://example.org/api' }) // cached, renewed at half its lifetime
    const headers = { authorization: `Bearer ${token.marshal()}` }
    // end
    expect(headers.authorization).toMatch(/^Bearer eyJ/)
    const received = token.marshal()

    // example: validate a token
    const caller = parseAndValidate(received, jwt, 'spiffe://example.org/api') // throws a JwtSvidError
    matchMemberOf('example.org')(caller.id) // who is allowed: matchId, matchOneOf, matchMemberOf, matchAny
    log.info(`${caller.id} calls, ${caller.claims.sub}`)
    // end
    expect(said.at(-1)).toBe('spiffe://example.org/server calls, spiffe://example.org/server')
    expect(() => parseAndValidate(received, jwt, 'another')).toThrow(JwtSvidError)

    // example: validate a token repeatedly
    const validate = cachedValidator(jwt, 'spiffe://example.org/api') // remembers only which signatures were valid
    const first = validate(received)
    const again = validate(received) // claims, times and the key are checked each time
    // end
    expect(again.id).toEqual(first.id)

    // example: only validate tokens of others
    const bundles = await BundleSource.open() // for programs without an identity of their own
    const trusted = bundles.x509Bundles.map(({ trustDomain }) => trustDomain.name)
    const { id } = parseAndValidate(received, bundles, 'spiffe://example.org/api')
    bundles.close()
    // end
    expect([trusted, id.path]).toEqual([['example.org'], '/server'])

    // example: check its health
    const { state, updatedAt, lastError, expiresAt, expired } = x509.health()
    const ready = state === 'current' || (state === 'stale' && !expired) // 'stale': the agent is unreachable
    // end
    expect([ready, updatedAt, lastError, expired]).toEqual([true, expect.any(Number), undefined, false])
    expect(expiresAt).toBe(svid.expiresAt)
    x509.close()
    jwt.close()
  })

  it('call the agent directly', async () => {
    // example: call the agent directly
    const client = new WorkloadApiClient({ address: process.env.SPIFFE_ENDPOINT_SOCKET as string })
    const { svids, bundles } = await client.fetchX509Context() // watchX509Context also reports changes
    const tokens = await client.fetchJwtSvids({ audience: 'api' }) // one for each identity of this workload
    const keys = [await client.fetchX509Bundles(), await client.fetchJwtBundles()]
    const verdict = await client.validateJwtSvid(String(tokens[0]?.marshal()), 'api') // the agent validates it
    // end
    expect([svids.length, bundles.x509Bundles.length, tokens.length, keys.length]).toEqual([1, 1, 1, 2])
    expect(verdict.id.toString()).toBe('spiffe://example.org/server')
    client.close()
  })

  it('parse and make SPIFFE IDs', () => {
    // example: parse and make IDs
    const id = SpiffeId.parse('spiffe://example.org/billing/api') // throws a SpiffeIdError that names the rule
    const other = SpiffeId.fromSegments(id.trustDomain, 'billing', 'worker')
    const family = id.memberOf(other.trustDomain)
    // end
    expect([id.path, other.toString(), family]).toEqual([
      '/billing/api',
      'spiffe://example.org/billing/worker',
      true,
    ])
  })

  it('serve and call over TLS, with an SVID on one side', async () => {
    const x509 = await X509Source.open()

    // example: serve over TLS
    const security = tlsServer(x509) // presents the current SVID in every handshake
    const server = https.createServer(security.options, (_, response) => response.end('hello'))
    security.guard(server).listen(port)
    // end

    // example: call over TLS
    const agent = new SpiffeAgent(tlsClient(x509, authorizeId('spiffe://example.org/server'))) // for https and axios
    const request = https.get(`https://localhost:${port}/`, { agent })
    // end
    expect(await textOf(request)).toBe('hello')
    const stranger = new SpiffeAgent(tlsClient(x509, authorizeId('spiffe://example.org/other')))
    await expect(textOf(https.get(`https://localhost:${port}/`, { agent: stranger }))).rejects.toThrow(
      'unexpected ID "spiffe://example.org/server"',
    )
    agent.destroy()
    await close(server)
    x509.close()
  })

  it('serve and call over mutual TLS', async () => {
    const x509 = await X509Source.open()

    // example: serve over mutual TLS
    const security = mtlsServer(x509, authorizeMemberOf('example.org'), { onRefused: console.warn })
    const greet: RequestListener = ({ socket }, response) => response.end(`hello ${peerOf(socket)?.id}`)
    const server = https.createServer(security.options, greet)
    security.guard(server).listen(port)
    // end

    // example: call over mutual TLS
    const toServers = mtlsClient(x509, authorizeOneOf('spiffe://example.org/server'))
    const agent = new SpiffeAgent(toServers) // for https and axios; one for each authorizer
    const connect = undiciConnector(toServers)
    const dispatcher = new UndiciAgent({ connect }).compose(connect.retire) // for undici and its fetch
    const response = await fetchOver(`https://localhost:${port}/`, { dispatcher })
    // end
    expect(await response.text()).toBe('hello spiffe://example.org/server')
    expect(await textOf(https.get(`https://localhost:${port}/`, { agent }))).toBe(
      'hello spiffe://example.org/server',
    )
    expect(authorizeAny()).toBeInstanceOf(Function)
    agent.destroy()
    await dispatcher.close()
    await close(server)
    x509.close()
  })

  it('publish a bundle and poll another', async () => {
    const bundle = new SpiffeBundle({
      x509: domain.x509Bundle,
      jwt: domain.jwtBundle,
      sequence: 7,
      refreshHintSeconds: 300,
    })
    const x509 = await X509Source.open()

    // example: publish a bundle
    const security = tlsServer(x509)
    const serve = serveBundle(() => bundle) // returns the current bundle, for each request
    const endpoint = https.createServer(security.options, serve)
    security.guard(endpoint).listen(port)
    // end
    const firstBundle = bundle.toJson()
    const url = `https://localhost:${port}/`
    const stop = new AbortController()
    const seen: SpiffeBundle[] = []

    // example: fetch the bundle of another trust domain
    const known = SpiffeBundle.ofJson('example.org', firstBundle) // copied by hand, once
    const endpointId = 'spiffe://example.org/server'
    const profile = { profile: 'https_spiffe', endpointId, bundles: new X509BundleSet([known.x509]) } as const
    const fresh = await fetchBundle('example.org', url, profile) // or { profile: 'https_web' }
    // end
    expect([fresh.sequence, fresh.equals(bundle)]).toEqual([7, true])

    // example: poll it
    const watcher = { onUpdate: (next: SpiffeBundle) => void seen.push(next), onError: console.warn }
    const bundlesNow = (newest = known) => new X509BundleSet([newest.x509])
    const profileNow = (newest?: SpiffeBundle) => ({ ...profile, bundles: bundlesNow(newest) })
    const watching = watchBundle('example.org', url, profileNow, watcher, stop.signal) // polls as often as the refresh hint says
    // end
    while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    stop.abort()
    await watching
    expect(seen).toEqual([expect.objectContaining({ sequence: 7 })])
    await close(endpoint)
    x509.close()
  })
})

const close = (server: { close(done: () => void): unknown }) =>
  new Promise<void>((resolve) => {
    if (server instanceof https.Server) server.closeAllConnections()
    server.close(() => resolve())
  })

const textOf = (request: ReturnType<typeof https.get>) =>
  new Promise<string>((resolve, reject) => {
    request.once('error', reject).once('response', (response) => void text(response).then(resolve, reject))
  })
