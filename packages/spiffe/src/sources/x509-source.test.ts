import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { GrpcError, status } from '../grpc/status.ts'
import { TrustDomain } from '../spiffe-id/trust-domain.ts'
import {
  FakeWorkloadApi,
  type IssuedIdentity,
  TestTrustDomain,
  x509BundleMap,
  x509SvidMessage,
} from '../testing/index.ts'
import { socketUri } from '../workload-api/address.ts'
import { X509Source, type X509SourceOptions } from './x509-source.ts'

const denied = new GrpcError(status.permissionDenied, 'no identity issued')

describe('X509Source', () => {
  let api: FakeWorkloadApi
  let domain: TestTrustDomain
  let now: number
  const sources: X509Source[] = []

  beforeEach(async () => {
    now = Date.now()
    api = await FakeWorkloadApi.start()
    domain = await TestTrustDomain.create('example.org')
  })
  afterEach(async () => {
    for (const source of sources.splice(0)) source.close()
    await api.close()
  })

  function start(options: X509SourceOptions = {}): X509Source {
    const source = new X509Source({ address: api.address, clock: () => now, ...options })
    sources.push(source)
    return source
  }

  async function identity(path: string, options: Partial<IssuedIdentity> = {}): Promise<IssuedIdentity> {
    const id = domain.id(path)
    return { id, issued: await domain.authority.issue(id), bundle: domain.x509Bundle, ...options }
  }

  it('is ready with the first SVID and knows the bundle of its trust domain', async () => {
    api.setX509(await identity('/server'))
    const source = start()
    await source.ready()
    expect(source.getX509Svid().id.toString()).toBe('spiffe://example.org/server')
    expect(source.getX509Bundle(domain.trustDomain).equals(domain.x509Bundle)).toBe(true)
    expect(source.health()).toMatchObject({ state: 'current', attempts: 0, expired: false })
    expect(api.calls.map(({ securityHeader }) => securityHeader)).toEqual([['true']])
  })

  it('throws before it is ready', () => {
    expect(() => start().getX509Svid()).toThrow(
      expect.objectContaining({ code: 'not_ready', message: 'x509source: not ready: no response yet' }),
    )
  })

  it('rotates: the next SVID is returned without a restart, and an equal response emits no update', async () => {
    const first = await identity('/server')
    const second = await identity('/server')
    api.setX509(first)
    const source = start()
    await source.ready()
    const serials: string[] = []
    source.on('update', (svid) => serials.push(svid.leaf.x509.serialNumber))
    api.setX509(first)
    api.setX509(second)
    await once(source, 'update')
    expect(serials).toEqual([source.getX509Svid().leaf.x509.serialNumber])
  })

  it('withdraws the SVID on PermissionDenied and uses the next one', async () => {
    api.setX509(await identity('/server'))
    const source = start()
    await source.ready()
    const withdrawn = once(source, 'withdraw')
    api.setX509(denied)
    await withdrawn
    expect(() => source.getX509Svid()).toThrow(
      expect.objectContaining({
        code: 'withdrawn',
        message:
          'x509source: the identity was withdrawn: rpc error: code = PermissionDenied desc = no identity issued',
      }),
    )
    expect(() => source.getX509Bundle(domain.trustDomain)).toThrow(
      expect.objectContaining({ code: 'withdrawn' }),
    )
    api.setX509(await identity('/server'))
    await once(source, 'update')
    expect(source.health().state).toBe('current')
  })

  it('keeps serving when the agent dies, fails closed at notAfter, and recovers soon after the agent does', async () => {
    const first = await identity('/server')
    api.setX509(first)
    const source = start()
    await source.ready()
    const failed = once(source, 'failure')
    await api.crash()
    await failed
    expect(source.getX509Svid().id.path).toBe('/server')
    expect(source.health().state).toBe('stale')
    now = source.getX509Svid().expiresAt
    expect(() => source.getX509Svid()).toThrow(
      expect.objectContaining({
        code: 'svid_expired',
        message: expect.stringMatching(
          /^x509source: the SVID of spiffe:\/\/example\.org\/server expired at .*; the agent has not renewed it: /,
        ),
      }),
    )
    expect(source.health()).toMatchObject({ expired: true })
    now = Date.now()
    api.setX509(await identity('/server'))
    await api.listen()
    const back = Date.now()
    await once(source, 'update')
    expect(Date.now() - back).toBeLessThan(2000)
    expect(source.health().state).toBe('current')
  })

  it('reports the last failure, the number of attempts and a hint on timeout', async () => {
    await expect(start().ready({ timeoutMs: 100 })).rejects.toMatchObject({
      name: 'SourceError',
      code: 'not_ready',
      attempts: 1,
      hint: `the agent has no entry for this process, uid ${process.getuid?.()}, pid ${process.pid}`,
      message: expect.stringMatching(
        /^context deadline exceeded: 1 attempts, the last one: rpc error: code = PermissionDenied desc = no identity issued \(/,
      ),
    })
  })

  it("does not guess if the agent's message contains the reason", async () => {
    api.setX509(new GrpcError(status.permissionDenied, 'no identity issued: the entry is revoked'))
    await expect(start().ready({ timeoutMs: 100 })).rejects.toMatchObject({
      hint: `the agent rejects this process, uid ${process.getuid?.()}, pid ${process.pid}`,
    })
  })

  it('names the missing socket on timeout', async () => {
    const source = start({ address: socketUri(`${api.folder}/nowhere.sock`) })
    await expect(source.ready({ timeoutMs: 100 })).rejects.toMatchObject({
      code: 'not_ready',
      hint: 'the socket does not exist: is the agent running, is SPIFFE_ENDPOINT_SOCKET correct?',
    })
  })

  it('retries quickly while the entry does not exist yet', async () => {
    const source = start()
    setTimeout(async () => api.setX509(await identity('/server')), 50)
    const started = Date.now()
    await source.ready()
    expect(Date.now() - started).toBeLessThan(1000)
  })

  it('fails immediately and permanently on InvalidArgument', async () => {
    api.setX509(new GrpcError(status.invalidArgument, 'security header missing from request'))
    const source = start()
    await expect(source.ready()).rejects.toMatchObject({
      code: 'failed',
      message: 'rpc error: code = InvalidArgument desc = security header missing from request',
    })
    expect(api.calls).toHaveLength(1)
    expect(source.health().state).toBe('failed')
  })

  it('throws after it was closed, also for waiting callers', async () => {
    const source = start()
    const waiting = source.ready()
    source.close()
    await expect(waiting).rejects.toMatchObject({ code: 'closed', message: 'x509source: source is closed' })
    expect(() => source.getX509Svid()).toThrow('x509source: source is closed')
  })

  it('uses the first of several SVIDs, or the one picked by the caller', async () => {
    api.setX509(await identity('/a'), await identity('/b'))
    const first = start()
    const last = start({ pickSvid: (svids) => svids.at(-1) as never })
    await Promise.all([first.ready(), last.ready()])
    expect(first.getX509Svid().id.path).toBe('/a')
    expect(last.getX509Svid().id.path).toBe('/b')
  })

  it('keeps the first of the SVIDs with the same hint, and all without one', async () => {
    api.setX509(
      await identity('/a', { hint: 'internal' }),
      await identity('/b', { hint: 'internal' }),
      await identity('/c'),
      await identity('/d'),
    )
    let seen: readonly string[] = []
    const source = start({
      pickSvid(svids) {
        seen = svids.map(({ id }) => id.path)
        return svids[0] as never
      },
    })
    await source.ready()
    source.getX509Svid()
    expect(seen).toEqual(['/a', '/c', '/d'])
  })

  it('does not let a federated bundle replace the one of its own trust domain', async () => {
    const impostor = await TestTrustDomain.create('example.org')
    const friend = await TestTrustDomain.create('friend.test')
    api.setX509Response({
      svids: [x509SvidMessage(await identity('/server'))],
      federatedBundles: x509BundleMap([impostor.x509Bundle, friend.x509Bundle]),
    })
    const source = start()
    await source.ready()
    expect(source.getX509Bundle(domain.trustDomain).equals(domain.x509Bundle)).toBe(true)
    expect(source.getX509Bundle(TrustDomain.ofName('friend.test')).equals(friend.x509Bundle)).toBe(true)
    expect(() => source.getX509Bundle(TrustDomain.ofName('stranger.test'))).toThrow(
      expect.objectContaining({
        code: 'bundle_not_found',
        message: 'x509bundle: no X.509 bundle for trust domain "stranger.test"',
      }),
    )
  })

  it('accepts a federated bundle whose key is the bare name of its trust domain', async () => {
    const friend = await TestTrustDomain.create('friend.test')
    api.setX509Response({
      svids: [x509SvidMessage(await identity('/server'))],
      federatedBundles: new Map([['friend.test', friend.x509Bundle.toDer()]]),
    })
    const source = start()
    await source.ready()
    expect(source.x509Bundles).toHaveLength(2)
  })

  describe('keeps its state when a response is unusable:', () => {
    const cases: Record<
      string,
      (good: IssuedIdentity) => Promise<Parameters<FakeWorkloadApi['setX509Response']>[0]>
    > = {
      'no SVIDs': async () => ({ svids: [] }),
      'no ID': async (good) => ({ svids: [{ ...x509SvidMessage(good), spiffeId: '' }] }),
      'no certificate': async (good) => ({ svids: [{ ...x509SvidMessage(good), x509Svid: Buffer.of() }] }),
      'no key': async (good) => ({ svids: [{ ...x509SvidMessage(good), x509SvidKey: Buffer.of() }] }),
      'no bundle': async (good) => ({ svids: [{ ...x509SvidMessage(good), bundle: Buffer.of() }] }),
      'another key': async (good) => ({
        svids: [
          { ...x509SvidMessage(good), x509SvidKey: (await domain.authority.issue(good.id)).privateKey },
        ],
      }),
      'another ID': async (good) => ({
        svids: [{ ...x509SvidMessage(good), spiffeId: domain.id('/root') }],
      }),
      'a chain to another authority': async (good) => ({
        svids: [
          {
            ...x509SvidMessage(good),
            bundle: (await TestTrustDomain.create('example.org')).x509Bundle.toDer(),
          },
        ],
      }),
      'an expired SVID': async (good) => ({
        svids: [
          x509SvidMessage({
            ...good,
            issued: await domain.authority.issue(good.id, { notAfter: now - 5000 }),
          }),
        ],
      }),
      'a leaf that is a CA': async (good) => ({
        svids: [x509SvidMessage({ ...good, issued: await domain.authority.issue(good.id, { isCa: true }) })],
      }),
    }
    for (const [name, make] of Object.entries(cases))
      it(name, async () => {
        const good = await identity('/a')
        api.setX509(good)
        const source = start()
        await source.ready()
        const failed = once(source, 'failure')
        api.setX509Response(await make(good))
        expect((await failed)[0]).toMatchObject({ code: 'malformed_response' })
        expect(source.getX509Svid().id.path).toBe('/a')
        api.setX509(await identity('/b'))
        await once(source, 'update')
        expect(source.getX509Svid().id.path).toBe('/b')
      })
  })
})
