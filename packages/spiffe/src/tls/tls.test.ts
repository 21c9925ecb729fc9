import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import tls, { type ConnectionOptions, type Server, type TLSSocket } from 'node:tls'
import { parseCertificate } from '@hallpass/x509'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { keyUsageBits, TestAuthority, TestTrustDomain } from '../testing/index.ts'
import { X509Bundle, type X509BundleSource } from '../x509-bundle/bundle.ts'
import { X509BundleSet } from '../x509-bundle/set.ts'
import { X509SvidError } from '../x509-svid/errors.ts'
import { X509Svid, type X509SvidSource } from '../x509-svid/svid.ts'
import { type Authorizer, authorizeAny, authorizeId, authorizeMemberOf } from './authorizer.ts'
import { type ClientSecurity, mtlsClient, mtlsWebClient, tlsClient } from './client.ts'
import { SpiffeAgent } from './https-agent.ts'
import { peerOf, verifyPeer } from './peer.ts'
import { mtlsServer, mtlsWebServer, type ServerSecurity, tlsServer } from './server.ts'
import type { Trust } from './trust.ts'
import { undiciConnector } from './undici-connector.ts'

/** A source with SVID and bundles set by the test. */
class SettableSource implements X509SvidSource, X509BundleSource {
  svid: X509Svid | Error
  bundles: readonly X509Bundle[]

  constructor(svid: X509Svid, bundles: readonly X509Bundle[]) {
    this.svid = svid
    this.bundles = bundles
  }

  getX509Svid(): X509Svid {
    if (this.svid instanceof Error) throw this.svid
    return this.svid
  }

  get x509Bundles() {
    return this.bundles
  }

  getX509Bundle(trustDomain: Parameters<X509BundleSource['getX509Bundle']>[0]) {
    return new X509BundleSet(this.bundles).getX509Bundle(trustDomain)
  }
}

let here: TestTrustDomain
let there: TestTrustDomain
beforeAll(async () => {
  here = await TestTrustDomain.create('example.org')
  there = await TestTrustDomain.create('there.test')
})

const servers: Server[] = []
const sockets: TLSSocket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) {
    server.close()
    await once(server, 'close')
  }
})

async function source(path: string, shape = {}): Promise<SettableSource> {
  return new SettableSource(await here.x509Svid(path, shape), [here.x509Bundle])
}

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  server.on('connection', (socket) => server.once('close', () => socket.destroy()))
  servers.push(server)
  server.listen(0, host)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A server that sends the peer's ID on every accepted connection, which proves that it was accepted. */
async function serve(security: ServerSecurity, options: tls.TlsOptions = {}): Promise<number> {
  const server = security.guard(
    tls.createServer({ ...security.options, ...options }, (socket) => {
      socket.on('error', () => {})
      if (!socket.destroyed) socket.end(`${peerOf(socket)?.id ?? '-'}\n`)
    }),
  )
  return listen(server)
}

async function dial(
  security: ClientSecurity,
  port: number,
  options: ConnectionOptions = {},
): Promise<string> {
  const socket = security.connect({ host: '127.0.0.1', port, ...options })
  sockets.push(socket)
  return readAll(socket)
}

async function readAll(socket: TLSSocket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += chunk
  if (text === '') throw new Error('the connection ended without an answer')
  return text.trim()
}

/** Returns what a plain OpenSSL client receives: nothing, or a line. */
async function dialPlainly(port: number, options: ConnectionOptions): Promise<string> {
  const socket = tls.connect({ host: '127.0.0.1', port, checkServerIdentity: () => undefined, ...options })
  sockets.push(socket)
  return readAll(socket)
}

/** A running clock that starts this many milliseconds before a time. */
function shortlyBefore(time: number, milliseconds = 200): () => number {
  const offset = time - milliseconds - Date.now()
  return () => Date.now() + offset
}

const trustHere = { ca: '', checkServerIdentity: () => undefined }
beforeAll(() => {
  trustHere.ca = here.x509Bundle.toPem()
})

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('over %s', (version) => {
  const only = { minVersion: version, maxVersion: version }

  it('a client accepts the expected server, by name and by address, and knows its ID', async () => {
    const port = await serve(tlsServer(await source('/server')), only)
    const security = tlsClient(here.x509Bundle, authorizeId('spiffe://example.org/server'))
    expect(await dial(security, port)).toBe('-')
    const socket = security.connect({ host: 'localhost', port })
    sockets.push(socket)
    await once(socket, 'secureConnect')
    expect(peerOf(socket)?.id.toString()).toBe('spiffe://example.org/server')
  })

  it('a client rejects a server with another ID before it sends anything', async () => {
    const port = await serve(tlsServer(await source('/impostor')), only)
    const security = tlsClient(here.x509Bundle, authorizeId('spiffe://example.org/server'))
    await expect(dial(security, port)).rejects.toMatchObject({
      code: 'unexpected_id',
      message: 'unexpected ID "spiffe://example.org/impostor"',
    })
  })

  it('a server accepts only the expected client', async () => {
    const port = await serve(mtlsServer(await source('/server'), authorizeId(here.id('/client'))), only)
    const client = mtlsClient(await source('/client'), authorizeAny())
    const stranger = mtlsClient(await source('/stranger'), authorizeAny())
    expect(await dial(client, port)).toBe('spiffe://example.org/client')
    await expect(dial(stranger, port)).rejects.toThrow('ended without an answer')
  })

  it('a server rejects a client without a certificate', async () => {
    const port = await serve(mtlsServer(await source('/server'), authorizeAny()), only)
    await expect(dialPlainly(port, { ...trustHere, ...only })).rejects.toThrow()
  })

  it('no session is resumed, so none skips the check of the client', async () => {
    const port = await serve(mtlsServer(await source('/server'), authorizeAny()), only)
    const { svid } = await source('/client')
    const own = svid as X509Svid
    let session: Buffer | undefined
    const first = tls.connect({
      host: '127.0.0.1',
      port,
      ...trustHere,
      cert: own.toPem(),
      key: own.privateKeyPem(),
    })
    sockets.push(first)
    first.on('session', (given) => {
      session = given
    })
    await readAll(first)
    const again = tls.connect({
      host: '127.0.0.1',
      port,
      ...trustHere,
      cert: own.toPem(),
      key: own.privateKeyPem(),
      ...(session && { session }),
    })
    sockets.push(again)
    await once(again, 'secureConnect')
    expect(again.isSessionReused()).toBe(false)
  })

  it('a client offers no session, even if it is given one', async () => {
    // A plain server, which would resume the session.
    const svid = (await source('/server')).getX509Svid()
    const server = tls.createServer({ cert: svid.toPem(), key: svid.privateKeyPem(), ...only }, (socket) =>
      socket.end('-\n'),
    )
    const port = await listen(server)
    let session: Buffer | undefined
    const first = tls.connect({ host: '127.0.0.1', port, ...trustHere })
    sockets.push(first)
    first.on('session', (given) => {
      session = given
    })
    await readAll(first)
    expect(session).toBeDefined()
    const security = tlsClient(here.x509Bundle, authorizeId(here.id('/server')))
    const socket = security.connect({ host: '127.0.0.1', port, ...(session && { session }) })
    sockets.push(socket)
    await once(socket, 'secureConnect')
    expect(socket.isSessionReused()).toBe(false)
    expect(peerOf(socket)?.id.path).toBe('/server')
  })
})

describe('certificates that OpenSSL accepts and SPIFFE does not', () => {
  const shapes = {
    'a leaf that is a CA': { shape: { isCa: true }, code: 'leaf_is_ca' },
    'a leaf that can sign certificates': {
      shape: { keyUsages: keyUsageBits.digitalSignature | keyUsageBits.keyCertSign },
      code: 'leaf_signs_certificates',
    },
    'a leaf that can sign revocation lists': {
      shape: { keyUsages: keyUsageBits.digitalSignature | keyUsageBits.cRLSign },
      code: 'leaf_signs_crls',
    },
    'two URI names': {
      shape: { uris: ['spiffe://example.org/client', 'spiffe://example.org/admin'] },
      code: 'several_uri_names',
    },
    'no URI name': { shape: { uris: [], dnsNames: ['client.example.org'] }, code: 'no_uri_name' },
    'the ID of a trust domain': { shape: { uris: ['spiffe://example.org'] }, code: 'root_path' },
    'a name with a comma that looks like two names when printed': {
      shape: { uris: ['spiffe://example.org/client, URI:spiffe://example.org/admin'] },
      code: 'bad_path_character',
    },
  }

  for (const [name, { shape, code }] of Object.entries(shapes)) {
    it(`${name}: rejected as a client`, async () => {
      const refused: (string | undefined)[] = []
      const security = mtlsServer(await source('/server'), authorizeAny(), {
        onRefused: (error) => refused.push((error as { code?: string }).code),
      })
      const port = await serve(security)
      const issued = await here.authority.issue('spiffe://example.org/client', shape)
      await expect(
        dialPlainly(port, { ...trustHere, cert: issued.pem, key: issued.privateKeyPem }),
      ).rejects.toThrow()
      expect(refused[0]).toBe(code)
    })

    it(`${name}: rejected as a server`, async () => {
      const issued = await here.authority.issue('spiffe://example.org/client', shape)
      const server = tls.createServer({ cert: issued.pem, key: issued.privateKeyPem }, (socket) => {
        socket.on('error', () => {})
        socket.end('-\n')
      })
      server.on('tlsClientError', () => {})
      const port = await listen(server)
      await expect(dial(tlsClient(here.x509Bundle, authorizeAny()), port)).rejects.toMatchObject({ code })
    })
  }
})

describe('trust domains', () => {
  it('an ID signed by the authority of another trust domain is rejected on both sides', async () => {
    const forged = await there.authority.issue('spiffe://example.org/admin')
    const both = new X509BundleSet([here.x509Bundle, there.x509Bundle])
    const server = tls.createServer({ cert: forged.pem, key: forged.privateKeyPem }, (socket) => {
      socket.on('error', () => {})
      socket.end('-\n')
    })
    server.on('tlsClientError', () => {})
    const port = await listen(server)
    const refusal = {
      code: 'unknown_authority',
      message: 'x509svid: could not verify leaf certificate: x509: certificate signed by unknown authority',
    }
    await expect(dial(tlsClient(both, authorizeAny()), port)).rejects.toMatchObject(refusal)

    const own = await source('/server')
    own.bundles = both.x509Bundles
    const refused: unknown[] = []
    const guarded = await serve(
      mtlsServer(own, authorizeAny(), { onRefused: (error) => refused.push(error) }),
    )
    await expect(
      dialPlainly(guarded, { ...trustHere, cert: forged.pem, key: forged.privateKeyPem }),
    ).rejects.toThrow()
    expect(refused[0]).toMatchObject(refusal)
  })

  it('a federated client is accepted by its own bundle, and an authorizer can reject it', async () => {
    const own = await source('/server')
    own.bundles = [here.x509Bundle, there.x509Bundle]
    const visitor = new SettableSource(await there.x509Svid('/visitor'), [here.x509Bundle])
    const client = mtlsClient(visitor, authorizeMemberOf('example.org'))
    expect(await dial(client, await serve(mtlsServer(own, authorizeAny())))).toBe(
      'spiffe://there.test/visitor',
    )
    const closed = await serve(mtlsServer(own, authorizeMemberOf('example.org')))
    await expect(dial(client, closed)).rejects.toThrow()
  })

  it('without a bundle no server is trusted, not even with a Web PKI certificate', async () => {
    const port = await serve(tlsServer(await source('/server')))
    await expect(dial(tlsClient(new X509BundleSet([]), authorizeAny()), port)).rejects.toMatchObject({
      code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    })
  })

  it('an intermediate can be the anchor of a bundle, on both sides', async () => {
    const root = await TestAuthority.root('example.org')
    const intermediate = await root.intermediate('example.org')
    const anchor = new X509Bundle('example.org', [parseCertificate(intermediate.der)])
    const make = async (path: string) => {
      const { chain, privateKey } = await intermediate.issue(`spiffe://example.org${path}`)
      return new SettableSource(X509Svid.ofDer(chain[0] as Buffer, privateKey), [anchor])
    }
    const port = await serve(mtlsServer(await make('/server'), authorizeAny()))
    expect(await dial(mtlsClient(await make('/client'), authorizeAny()), port)).toBe(
      'spiffe://example.org/client',
    )
  })
})

describe('a server that sees only the leaf (nodejs/node#65579)', () => {
  const shown = (raw: Buffer) =>
    ({ isSessionReused: () => false, getPeerCertificate: () => ({ raw }) }) as unknown as TLSSocket
  const trusting = (intermediates: readonly Uint8Array[]): Trust => ({
    bundles: here.x509Bundle,
    authorizer: authorizeAny(),
    clock: Date.now,
    intermediates: () => intermediates,
  })

  it('finds a path through its own intermediate if that leads to the bundle, and through no other', async () => {
    const intermediate = await here.authority.intermediate('example.org')
    const { chain } = await intermediate.issue('spiffe://example.org/client')
    const leaf = chain[0] as Buffer
    expect(verifyPeer(shown(leaf), trusting([intermediate.der])).id.path).toBe('/client')
    const other = await here.authority.intermediate('example.org')
    expect(() => verifyPeer(shown(leaf), trusting([other.der]))).toThrow('signed by unknown authority')
    expect(() => verifyPeer(shown(leaf), trusting([]))).toThrow('signed by unknown authority')
    const stranger = await (await TestAuthority.root('example.org')).intermediate('example.org')
    const strange = (await stranger.issue('spiffe://example.org/client')).chain[0] as Buffer
    expect(() => verifyPeer(shown(strange), trusting([stranger.der]))).toThrow('signed by unknown authority')
  })
})

describe('side effects of a check', () => {
  it('a client can still read the certificate of the server', async () => {
    const { chain, privateKey } = await (await here.authority.intermediate('example.org')).issue(
      here.id('/server'),
    )
    const own = new SettableSource(X509Svid.ofDer(Buffer.concat(chain), privateKey), [here.x509Bundle])
    const port = await serve(tlsServer(own))
    const socket = tlsClient(here.x509Bundle, authorizeAny()).connect({ host: '127.0.0.1', port })
    sockets.push(socket)
    await once(socket, 'secureConnect')
    expect(socket.getPeerX509Certificate()?.raw).toEqual(chain[0])
    expect(peerOf(socket)?.path).toHaveLength(3)
  })
})

describe('rotation', () => {
  it('a server presents the current SVID and trusts the current bundles', async () => {
    const own = await source('/server')
    const port = await serve(mtlsServer(own, authorizeAny()))
    const visitor = new SettableSource(await there.x509Svid('/visitor'), [here.x509Bundle])
    const client = mtlsClient(visitor, authorizeAny())
    await expect(dial(client, port)).rejects.toThrow()
    own.bundles = [here.x509Bundle, there.x509Bundle]
    expect(await dial(client, port)).toBe('spiffe://there.test/visitor')
    own.bundles = [here.x509Bundle]
    await expect(dial(client, port)).rejects.toThrow()

    const serialOf = async () => {
      const socket = tls.connect({ host: '127.0.0.1', port, ...trustHere })
      sockets.push(socket)
      socket.on('error', () => {})
      await once(socket, 'secureConnect')
      return socket.getPeerX509Certificate()?.serialNumber
    }
    const before = await serialOf()
    own.svid = await here.x509Svid('/server')
    expect(await serialOf()).toBe(own.svid.leaf.x509.serialNumber)
    expect(await serialOf()).not.toBe(before)
  })

  it('a server without an SVID rejects connections, and reports why', async () => {
    const own = await source('/server')
    const refused: Error[] = []
    const port = await serve(tlsServer(own, { onRefused: (error) => refused.push(error) }))
    const client = tlsClient(here.x509Bundle, authorizeAny())
    expect(await dial(client, port)).toBe('-')
    own.svid = new X509SvidError('expired', 'it is over')
    await expect(dial(client, port)).rejects.toThrow()
    expect(refused.map(({ message }) => message)).toEqual(['x509svid: it is over'])
  })

  it('a server without guard fails every handshake', async () => {
    const { options } = mtlsServer(await source('/server'), authorizeAny())
    const server = tls.createServer(options, (socket) => socket.end('-\n'))
    server.on('tlsClientError', () => {})
    const port = await listen(server)
    await expect(dial(tlsClient(here.x509Bundle, authorizeAny()), port)).rejects.toThrow()
  })

  /** A client whose SVID is about to expire, and a server with a day left; one side closes the connection. */
  async function connectBriefly(side: 'client' | 'server'): Promise<TLSSocket> {
    const own = await source('/client')
    const clock = shortlyBefore((own.svid as X509Svid).expiresAt, 1000)
    const lasting = await source('/server', { notAfter: Date.now() + 86_400_000 })
    const security = mtlsServer(lasting, authorizeAny(), { clock, endAtExpiry: side === 'server' })
    const server = security.guard(
      tls.createServer(security.options, (socket) => socket.on('error', () => {})),
    )
    const port = await listen(server)
    const client = mtlsClient(own, authorizeAny(), { clock, endAtExpiry: side === 'client' })
    const socket = client.connect({ host: '127.0.0.1', port })
    sockets.push(socket)
    return socket.resume()
  }

  it('a client closes a connection when its SVID expires, and reports why', async () => {
    const [error] = await once(await connectBriefly('client'), 'error')
    expect(error).toMatchObject({
      code: 'svid_expired',
      message: expect.stringMatching(/^the SVID of this connection expired at /),
    })
  })

  it("a server closes a connection when the client's SVID expires", async () => {
    await once(await connectBriefly('server'), 'close')
  })
})

describe('Web PKI certificates', () => {
  let web: { cert: string; key: string }
  let ca: string
  beforeAll(async () => {
    const authority = await TestAuthority.root('web')
    const issued = await authority.issue('', { uris: [], dnsNames: ['localhost'] })
    web = { cert: issued.pem, key: issued.privateKeyPem }
    ca = parseCertificate(authority.der).x509.toString()
  })

  it('a web server requires an SVID, and a client with one verifies the web certificate by host name', async () => {
    const port = await serve(mtlsWebServer(() => web, here.x509Bundle, authorizeAny()))
    const client = mtlsWebClient(await source('/client'))
    expect(await dial(client, port, { host: 'localhost', ca })).toBe('spiffe://example.org/client')
    await expect(dial(client, port, { host: '127.0.0.1', ca })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    await expect(dial(client, port, { host: 'localhost' })).rejects.toMatchObject({
      code: expect.stringMatching(/UNABLE_TO|SELF_SIGNED/),
    })
  })
})

describe('HTTP', () => {
  async function serveHttps(security: ServerSecurity): Promise<number> {
    const server = security.guard(
      https.createServer(security.options, (request, response) => {
        response.end(`${peerOf(request.socket)?.id ?? '-'}`)
      }),
    )
    return listen(server)
  }

  const get = (port: number, agent: SpiffeAgent) =>
    new Promise<string>((resolve, reject) => {
      https
        .get({ host: 'localhost', port, agent }, async (response) => {
          let text = ''
          for await (const chunk of response) text += chunk
          resolve(text)
        })
        .on('error', reject)
    })

  it('an agent makes requests with an SVID, and reuses its connection', async () => {
    const port = await serveHttps(mtlsServer(await source('/server'), authorizeId(here.id('/client'))))
    const agent = new SpiffeAgent(mtlsClient(await source('/client'), authorizeId(here.id('/server'))))
    expect(await get(port, agent)).toBe('spiffe://example.org/client')
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1)
    expect(await get(port, agent)).toBe('spiffe://example.org/client')
    agent.destroy()
  })

  it('a rejected client never reaches the HTTP parser of a server', async () => {
    const port = await serveHttps(mtlsServer(await source('/server'), authorizeId(here.id('/client'))))
    const agent = new SpiffeAgent(mtlsClient(await source('/stranger'), authorizeAny()))
    await expect(get(port, agent)).rejects.toThrow()
    agent.destroy()
  })

  it('a request without an available SVID emits an error', async () => {
    const own = await source('/client')
    own.svid = new X509SvidError('expired', 'it is over')
    const agent = new SpiffeAgent(mtlsClient(own, authorizeAny()))
    await expect(get(1, agent)).rejects.toThrow('x509svid: it is over')
    agent.destroy()
  })

  it('an agent gives a connection no new request when its SVID is about to expire', async () => {
    const own = await source('/server')
    const port = await serveHttps(tlsServer(own))
    const clock = shortlyBefore((own.svid as X509Svid).expiresAt, 1000)
    const agent = new SpiffeAgent(tlsClient(here.x509Bundle, authorizeAny(), { clock }), { clock })
    await get(port, agent)
    const [idle] = Object.values(agent.freeSockets).flat() as TLSSocket[]
    const failed: unknown[] = []
    idle?.on('error', (error) => failed.push(error))
    await once(idle as TLSSocket, 'close')
    expect(failed).toEqual([])
    expect(clock()).toBeLessThan((own.svid as X509Svid).expiresAt)
    expect(Object.values(agent.freeSockets).flat()).toEqual([])
    agent.destroy()
  })

  it('an agent uses the clock if its timers are late', async () => {
    const own = await source('/server')
    const port = await serveHttps(tlsServer(own))
    let now = (own.svid as X509Svid).expiresAt - 10_000
    const clock = () => now
    const agent = new SpiffeAgent(tlsClient(here.x509Bundle, authorizeAny(), { clock }), { clock })
    const idle = () => Object.values(agent.freeSockets).flat()
    await get(port, agent)
    const [first] = idle()
    now += 9_000
    await get(port, agent)
    expect(first?.destroyed).toBe(true)
    expect(idle()).not.toContain(first)
    agent.destroy()
  })

  it('undici connects with an SVID and rejects the wrong server', async () => {
    const { Agent, fetch } = await import('undici')
    const port = await serveHttps(mtlsServer(await source('/server'), authorizeAny()))
    const own = await source('/client')
    const dispatcher = new Agent({
      connect: undiciConnector(mtlsClient(own, authorizeId(here.id('/server')))) as never,
    })
    expect(await (await fetch(`https://localhost:${port}/`, { dispatcher })).text()).toBe(
      'spiffe://example.org/client',
    )
    await expect(fetch('http://localhost:1/', { dispatcher })).rejects.toThrow('fetch failed')
    const picky = new Agent({
      connect: undiciConnector(mtlsClient(own, authorizeId(here.id('/other')))) as never,
    })
    await expect(fetch(`https://localhost:${port}/`, { dispatcher: picky })).rejects.toMatchObject({
      cause: { message: 'unexpected ID "spiffe://example.org/server"' },
    })
    await Promise.all([dispatcher.destroy(), picky.destroy()])
  })

  it('undici closes a connection after a request when its SVID is about to expire', async () => {
    const { Agent, fetch } = await import('undici')
    const own = await source('/server')
    const port = await serveHttps(tlsServer(own))
    let now = (own.svid as X509Svid).expiresAt - 10_000
    const clock = () => now
    const connect = undiciConnector(tlsClient(here.x509Bundle, authorizeAny(), { clock }), { clock })
    const dispatcher = new Agent({ connect }).compose(connect.retire)
    const connection = async () =>
      (await fetch(`https://localhost:${port}/`, { dispatcher })).headers.get('connection')
    expect(await connection()).toBe('keep-alive')
    now += 9_000
    expect(await connection()).toBe('close')
    await dispatcher.close()
  })

  it('peerOf works for HTTP/2 on both sides', async () => {
    const security = mtlsServer(await source('/server'), authorizeAny())
    const server = security.guard(http2.createSecureServer(security.options as http2.SecureServerOptions))
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 })
      stream.end(`${peerOf(stream.session?.socket as object)?.id}`)
    })
    const port = await listen(server)
    const client = mtlsClient(await source('/client'), authorizeId(here.id('/server')))
    const session = http2.connect(`https://localhost:${port}`, {
      createConnection: () => client.connect({ host: 'localhost', port, ALPNProtocols: ['h2'] }),
    })
    const stream = session.request({ ':path': '/' })
    let text = ''
    for await (const chunk of stream) text += chunk
    expect(text).toBe('spiffe://example.org/client')
    expect(peerOf(session.socket)?.id.path).toBe('/server')
    session.destroy()
  })
})

describe('authorizers', () => {
  const peer = async (path: string) => ({ id: (await here.x509Svid(path)).id, path: [] })

  it('reject a peer with whatever error they throw', async () => {
    const port = await serve(tlsServer(await source('/server')))
    const moody: Authorizer = () => {
      throw new Error('not today')
    }
    await expect(dial(tlsClient(here.x509Bundle, moody), port)).rejects.toThrow('not today')
  })

  it('expose their trust domain, so that TLS trusts no other', async () => {
    expect(authorizeId('spiffe://example.org/a').trustDomain?.name).toBe('example.org')
    expect(authorizeMemberOf('example.org').trustDomain?.name).toBe('example.org')
    expect(authorizeAny().trustDomain).toBeUndefined()
    expect(() => authorizeMemberOf('there.test')(peerOfId)).toThrow('unexpected trust domain "example.org"')
  })

  let peerOfId: Awaited<ReturnType<typeof peer>>
  beforeAll(async () => {
    peerOfId = await peer('/a')
  })
})
