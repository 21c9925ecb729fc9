import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { parseCertificate } from '@hallpass/x509'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { SpiffeBundle } from '../spiffe-bundle/bundle.ts'
import { TestAuthority, TestTrustDomain } from '../testing/index.ts'
import { tlsServer } from '../tls/server.ts'
import { X509Bundle } from '../x509-bundle/bundle.ts'
import { fetchBundle } from './fetch.ts'
import { serveBundle } from './serve.ts'
import { watchBundle } from './watch.ts'

let domain: TestTrustDomain
let bundle: SpiffeBundle
let web: { cert: string; key: string; ca: string }
beforeAll(async () => {
  domain = await TestTrustDomain.create('b.test')
  bundle = new SpiffeBundle({
    x509: domain.x509Bundle,
    jwt: domain.jwtBundle,
    sequence: 1,
    refreshHintSeconds: 1,
  })
  const authority = await TestAuthority.root('web')
  const { pem, privateKeyPem } = await authority.issue('', { uris: [], dnsNames: ['localhost'] })
  web = { cert: pem, key: privateKeyPem, ca: parseCertificate(authority.der).x509.toString() }
})

const servers: (Server & { closeAllConnections(): void })[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

async function listen(server: https.Server): Promise<string> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `https://localhost:${(server.address() as AddressInfo).port}/`
}

const webServer = (handler: https.ServerOptions | Parameters<typeof https.createServer>[1]) =>
  listen(https.createServer({ cert: web.cert, key: web.key }, handler as never))

describe('fetchBundle', () => {
  it('https_web trusts a Web PKI certificate for the host name', async () => {
    const url = await webServer(serveBundle(() => bundle))
    const fetched = await fetchBundle('b.test', url, { profile: 'https_web', ca: web.ca })
    expect(fetched.equals(bundle)).toBe(true)
    await expect(fetchBundle('b.test', url, { profile: 'https_web' })).rejects.toMatchObject({
      code: 'unreachable',
    })
    await expect(
      fetchBundle('b.test', url.replace('localhost', '127.0.0.1'), { profile: 'https_web', ca: web.ca }),
    ).rejects.toMatchObject({ code: 'unreachable', cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' } })
  })

  it('https_spiffe verifies the SVID of the endpoint with an earlier copy of the bundle', async () => {
    const security = tlsServer(await domain.x509Svid('/bundle-endpoint'))
    const url = await listen(
      security.guard(
        https.createServer(
          security.options,
          serveBundle(() => bundle),
        ),
      ),
    )
    const profile = {
      profile: 'https_spiffe',
      endpointId: domain.id('/bundle-endpoint'),
      bundles: bundle,
    } as const
    expect((await fetchBundle('b.test', url, profile)).equals(bundle)).toBe(true)
    await expect(
      fetchBundle('b.test', url, { ...profile, endpointId: domain.id('/x') }),
    ).rejects.toMatchObject({
      code: 'unreachable',
      message: 'federation: could not GET bundle: unexpected ID "spiffe://b.test/bundle-endpoint"',
    })
    const { x509Bundle } = await TestTrustDomain.create('b.test')
    await expect(fetchBundle('b.test', url, { ...profile, bundles: x509Bundle })).rejects.toMatchObject({
      code: 'unreachable',
    })
  })

  it('does not follow redirects, or read error pages or endless documents', async () => {
    const profile = { profile: 'https_web', ca: web.ca } as const
    const moved = await webServer((_request, response) => {
      response.writeHead(302, { location: 'https://elsewhere.test/' }).end()
    })
    await expect(fetchBundle('b.test', moved, profile)).rejects.toMatchObject({
      code: 'unexpected_status',
      message: 'federation: unexpected status: 302',
    })
    const endless = await webServer((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 32)));
      }
      response.on('drain', more)
      more()
    })
    await expect(fetchBundle('b.test', endless, profile)).rejects.toMatchObject({ code: 'too_large' })
    const silent = await webServer(() => {})
    await expect(fetchBundle('b.test', silent, profile, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'unreachable',
    })
    const wrong = await webServer((_request, response) => response.end('<html>'))
    await expect(fetchBundle('b.test', wrong, profile)).rejects.toMatchObject({ code: 'malformed_bundle' })
    for (const url of ['http://localhost/', 'https://user:word@localhost/'])
      await expect(fetchBundle('b.test', url, profile)).rejects.toMatchObject({ code: 'malformed_url' })
  })
})

describe('serveBundle', () => {
  it('answers GET and HEAD, and rejects other methods', async () => {
    const url = await webServer(serveBundle(() => bundle))
    const ask = (method: string) =>
      new Promise<{ status: number | undefined; type: string | undefined }>((resolve, reject) => {
        https
          .request(url, { method, ca: web.ca, agent: false }, (response) => {
            response.resume()
            resolve({ status: response.statusCode, type: response.headers['content-type'] })
          })
          .on('error', reject)
          .end()
      })
    expect(await ask('GET')).toEqual({ status: 200, type: 'application/json' })
    expect(await ask('HEAD')).toEqual({ status: 200, type: 'application/json' })
    expect(await ask('POST')).toMatchObject({ status: 405 })
  })
})

describe('watchBundle', () => {
  it('reports changes, continues after failures and verifies with the newest bundle', async () => {
    // The endpoint rotates its authority: the bundle that it publishes first verifies it later.
    const next = await TestTrustDomain.create('b.test')
    const overlap = new SpiffeBundle({
      x509: new X509Bundle('b.test', [...domain.x509Bundle.authorities, ...next.x509Bundle.authorities]),
      jwt: domain.jwtBundle,
      sequence: 2,
      refreshHintSeconds: 1,
    })
    let published = bundle
    let svid = await domain.x509Svid('/endpoint')
    const security = tlsServer({ getX509Svid: () => svid })
    const handler = serveBundle(() => published)
    const url = await listen(security.guard(https.createServer(security.options, handler)))
    const stop = new AbortController()
    const seen: (number | bigint | undefined)[] = []
    const errors: string[] = []
    await watchBundle(
      'b.test',
      url,
      (newest) => ({
        profile: 'https_spiffe',
        endpointId: 'spiffe://b.test/endpoint',
        bundles: newest ?? bundle,
      }),
      {
        async onUpdate({ sequence }) {
          seen.push(sequence)
          published = overlap
          if (sequence !== 2) return
          svid = (await TestTrustDomain.create('b.test').then((stranger) =>
            stranger.x509Svid('/endpoint'),
          )) as never
        },
        async onError(error) {
          errors.push((error as { code?: string }).code ?? '')
          svid = await next.x509Svid('/endpoint')
          published = new SpiffeBundle({
            x509: next.x509Bundle,
            jwt: next.jwtBundle,
            sequence: 3,
            refreshHintSeconds: 1,
          })
        },
      },
      stop.signal,
      {
        refreshSeconds: () => {
          if (seen.includes(3)) stop.abort()
          return 0.02
        },
      },
    )
    expect(seen).toEqual([1, 2, 3])
    expect(errors[0]).toBe('unreachable')
  })

  it.each([
    ['30 days', 2_592_000],
    ['longer than any clock', Number.MAX_SAFE_INTEGER],
  ])('caps a refresh hint of %s', async (_name, refreshHintSeconds) => {
    const patient = new SpiffeBundle({
      x509: domain.x509Bundle,
      jwt: domain.jwtBundle,
      sequence: 1,
      refreshHintSeconds,
    })
    let polls = 0
    const serve = serveBundle(() => patient)
    const url = await webServer((request: IncomingMessage, response: ServerResponse) => {
      polls += 1
      serve(request, response)
    })
    const stop = new AbortController()
    const watching = watchBundle(
      'b.test',
      url,
      () => ({ profile: 'https_web', ca: web.ca }),
      { onUpdate: () => void setTimeout(() => stop.abort(), 100) },
      stop.signal,
    )
    await watching
    expect(polls).toBe(1)
  })
})
