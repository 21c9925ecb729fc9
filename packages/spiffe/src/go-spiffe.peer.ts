import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { parseAndValidate } from './jwt-svid/parse.ts'
import { JwtSource } from './sources/jwt-source.ts'
import { X509Source } from './sources/x509-source.ts'
import { buildGoPeer, type GoPeer, startGoPeer } from './testing/go-peer.ts'
import {
  createJwtKey,
  FakeWorkloadApi,
  jwks,
  signJwt,
  TestTrustDomain,
  x509BundleMap,
  x509SvidMessage,
} from './testing/index.ts'
import { authorizeAny } from './tls/authorizer.ts'
import { mtlsClient } from './tls/client.ts'
import { peerOf } from './tls/peer.ts'
import { mtlsServer } from './tls/server.ts'
import { socketUri } from './workload-api/address.ts'
import { WorkloadApiClient } from './workload-api/client.ts'

describeWith('go', 'https://go.dev/dl')('go-spiffe and grpc-go', () => {
  let binary: string
  let domain: TestTrustDomain
  let api: FakeWorkloadApi
  const peers: GoPeer[] = []

  beforeAll(async () => {
    binary = buildGoPeer(join(import.meta.dirname, '../peers/go'))
    domain = await TestTrustDomain.create('example.org')
    api = await FakeWorkloadApi.start()
    const friend = await TestTrustDomain.create('friend.test')
    const id = domain.id('/workload')
    api.setX509Response({
      svids: [
        x509SvidMessage({
          id,
          issued: await domain.authority.issue(id),
          bundle: domain.x509Bundle,
          hint: 'one',
        }),
      ],
      federatedBundles: x509BundleMap([friend.x509Bundle]),
    })
    api.setX509Bundles([domain.x509Bundle, friend.x509Bundle])
    api.setJwtBundles({ 'example.org': jwks([domain.jwtKey]) })
    api.onFetchJwtSvid = ({ audience }) => ({
      svids: [{ spiffeId: id, svid: domain.jwtSvid('/workload', audience), hint: '' }],
    })
    api.onValidateJwtSvid = ({ audience, svid }) => {
      const { id: validated, claims } = parseAndValidate(svid, domain.jwtBundle, audience)
      return { spiffeId: validated.toString(), claims: claims as never }
    }
  }, 120_000)
  afterEach(() => {
    for (const { process } of peers.splice(0)) process.kill('SIGKILL')
  })
  afterAll(async () => {
    await api.close()
  })

  function start(args: readonly string[], address = api.address, input = ''): GoPeer {
    const peer = startGoPeer(binary, args, address, input)
    peers.push(peer)
    return peer
  }

  it('a Go client calls every method of a Workload API made with this library', async () => {
    expect(JSON.parse(await start(['fetch', 'someone']).done())).toEqual({
      x509: 'spiffe://example.org/workload',
      hint: 'one',
      bundles: 2,
      federated: 2,
      jwt: 'spiffe://example.org/workload',
      jwtBundles: 1,
      validated: 'spiffe://example.org/workload',
      verified: 'spiffe://example.org/workload',
    })
  })

  it('a Go server and this client authenticate each other', async () => {
    const port = Number(await start(['serve']).line())
    const source = await X509Source.open({ address: api.address })
    const socket = mtlsClient(source, authorizeAny()).connect({ host: '127.0.0.1', port })
    let text = ''
    socket.once('secureConnect', () => expect(peerOf(socket)?.id.path).toBe('/workload'))
    for await (const chunk of socket) text += chunk
    source.close()
    expect(text).toBe('spiffe://example.org/workload\n')
  })

  it('this server and a Go client authenticate each other', async () => {
    const source = await X509Source.open({ address: api.address })
    const security = mtlsServer(source, authorizeAny())
    const server = security.guard(
      tls.createServer(security.options, (socket) => socket.end(`${peerOf(socket)?.id}\n`)),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect(await start(['dial', `127.0.0.1:${port}`]).done()).toBe(
      'spiffe://example.org/workload spiffe://example.org/workload',
    )
    server.close()
    source.close()
  })

  it('this client calls every method of a Workload API on grpc-go', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'go-api-'))
    const path = join(folder, 'api.sock')
    const id = domain.id('/go')
    const issued = await domain.authority.issue(id)
    const agent = start(
      ['workload-api'],
      '',
      JSON.stringify({
        SpiffeID: id,
        Token: domain.jwtSvid('/go', 'audience'),
        Socket: path,
        SVID: Buffer.concat(issued.chain).toString('base64'),
        Key: issued.privateKey.toString('base64'),
        Bundle: domain.x509Bundle.toDer().toString('base64'),
        JWKS: Buffer.from(JSON.stringify(jwks([domain.jwtKey]))).toString('base64'),
      }),
    )
    expect(await agent.line()).toBe('READY')
    const address = socketUri(path)
    const client = new WorkloadApiClient({ address })
    expect((await client.fetchX509Svid()).id.toString()).toBe(id)
    expect((await client.fetchX509Bundles()).x509Bundles).toHaveLength(1)
    expect((await client.fetchJwtBundles()).bundles).toHaveLength(1)
    const jwt = await client.fetchJwtSvid({ audience: 'audience' })
    expect(jwt.id.toString()).toBe(id)
    expect(await client.validateJwtSvid(jwt.marshal(), 'audience')).toMatchObject({
      claims: { sub: id, aud: ['audience'], exp: 4e9, nested: { list: [null, true, 1.5] } },
    })
    await expect(client.validateJwtSvid(jwt.marshal(), 'b')).rejects.toMatchObject({
      code: 3,
      message:
        'rpc error: code = InvalidArgument desc = expected audience in ["b"] (audience=["ümläut 100 %"])',
    })
    await expect(client.fetchJwtSvids({ audience: [] })).rejects.toMatchObject({
      details: 'audience must be specified',
    })

    const source = await JwtSource.open({ address })
    const lost = once(source, 'failure')
    agent.process.kill('SIGKILL')
    await lost
    expect(source.health()).toMatchObject({ state: 'stale', lastError: { code: 14 } })
    expect(parseAndValidate(jwt.marshal(), source, 'audience').id.toString()).toBe(id)
    source.close()
    client.close()
    await rm(folder, { recursive: true })
  })

  // The two validate seconds apart on a busy machine, so no time is within half a minute of a limit.
  it('Go returns the same result for every token, with the same message', async () => {
    const seconds = Math.floor(Date.now() / 1000)
    const good = { sub: domain.id('/a'), aud: ['me'], iat: seconds, exp: seconds + 300 }
    const { jwtKey } = domain
    const stranger = createJwtKey('stranger')
    const impostor = { ...stranger, kid: jwtKey.kid }
    const without = (name: keyof typeof good) => ({ ...good, [name]: undefined })
    const unsigned = (claims: object, header = {}) =>
      signJwt(claims as typeof good, jwtKey, header).replace(/[^.]*$/, '')
    const tokens = [
      signJwt(good, jwtKey),
      signJwt({ ...good, aud: 'me' }, jwtKey),
      signJwt({ ...good, exp: seconds - 59.5 }, jwtKey),
      'nonsense',
      'a.b.c',
      signJwt(good, { ...stranger, alg: 'EdDSA', privateKey: createJwtKey('x', 'EdDSA').privateKey }),
      signJwt(good, jwtKey, { typ: 'at+jwt' }),
      signJwt(good, jwtKey, { typ: 'JOSE' }),
      signJwt(good, jwtKey, { typ: 'jwt' }),
      signJwt(without('sub'), jwtKey),
      signJwt(without('exp'), jwtKey),
      signJwt(without('aud'), jwtKey),
      signJwt({ ...good, sub: 'spiffe://Example.org/a' }, jwtKey),
      signJwt({ ...good, sub: 'https://example.org/a' }, jwtKey),
      signJwt({ ...good, sub: 'spiffe://example.org/a/../b' }, jwtKey),
      signJwt({ ...good, sub: 'spiffe://other.org/a' }, jwtKey),
      signJwt(good, stranger),
      signJwt(good, impostor),
      signJwt({ ...good, aud: ['you', 'a "b"\n\u200bü'] }, jwtKey),
      signJwt({ ...good, aud: [] }, jwtKey),
      signJwt({ ...good, nbf: seconds + 120 }, jwtKey),
      signJwt({ ...good, nbf: seconds + 30 }, jwtKey),
      signJwt({ ...good, exp: seconds - 65 }, jwtKey),
      signJwt({ ...good, iat: seconds + 120 }, jwtKey),
      // Without a signature and with a second fault: checks which one is reported.
      unsigned(good),
      unsigned(good, { typ: 'at+jwt' }),
      unsigned(without('exp')),
      signJwt({ ...good, exp: seconds - 65, nbf: seconds + 120 }, jwtKey),
      signJwt({ ...good, exp: seconds - 65, aud: ['you'] }, jwtKey),
      signJwt({ ...good, aud: ['you'] }, impostor),
      signJwt({ ...good, sub: 'a' }, jwtKey, { typ: 'at+jwt' }),
    ]
    const input = JSON.stringify({ Tokens: tokens, Audience: ['me', 'myself'], JWKS: jwks([jwtKey]) })
    const said = JSON.parse(await start(['verdicts'], '', input).done())
    const ours = tokens.map((token) => {
      try {
        return parseAndValidate(token, domain.jwtBundle, ['me', 'myself']).id.toString()
      } catch (error) {
        return (error as Error).message
      }
    })
    expect(ours).toEqual(said)
  })
})
