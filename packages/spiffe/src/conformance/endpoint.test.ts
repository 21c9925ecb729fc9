import { afterEach, describe, expect, it } from '@jest/globals'
import { GrpcError, status } from '../grpc/status.ts'
import { ConformanceRig } from '../testing/conformance-rig.ts'
import { x509SvidMessage } from '../testing/index.ts'

/*
 * Groups EP and WA of the catalog of spiffe-conformance-test-suite, run through the harness that the suite itself uses.
 * The names start with the catalog's IDs.
 */

let rig: ConformanceRig
afterEach(() => rig.close())

const distance = (times: readonly { at: number }[]) =>
  times.slice(1).map(({ at }, index) => at - (times[index] as { at: number }).at)

describe('Workload Endpoint', () => {
  it('EP-1 finds the endpoint by SPIFFE_ENDPOINT_SOCKET', async () => {
    rig = await ConformanceRig.started()
    expect((await rig.probeAs('/peer')).line).toBe('spiffe://example.org/peer')
  })

  it('EP-2 sends the security header with every call', async () => {
    rig = await ConformanceRig.started()
    rig.api.onFetchJwtSvid = ({ audience }) => ({
      svids: [{ spiffeId: rig.domain.id('/a'), svid: rig.domain.jwtSvid('/a', audience), hint: '' }],
    })
    await rig.control('/v1/jwt/fetch', { audience: ['a'] })
    await rig.validate('x')
    expect(new Set(rig.api.calls.map(({ method }) => method))).toEqual(
      new Set(['FetchX509SVID', 'FetchJWTBundles', 'FetchJWTSVID']),
    )
    expect(rig.api.calls.every(({ securityHeader }) => securityHeader.join() === 'true')).toBe(true)
  })

  it('EP-3 connects to a TCP endpoint', async () => {
    rig = await ConformanceRig.create()
    await rig.serve('/workload')
    const { ready } = await rig.start(await rig.api.listen({ host: '127.0.0.1', port: 0 }))
    await ready
  })

  it('EP-4 rejects an address with an authority, or with a path on TCP, before it connects', async () => {
    rig = await ConformanceRig.create()
    const tcp = await rig.api.listen({ host: '127.0.0.1', port: 0 })
    await rig.api.crash()
    await rig.api.listen()
    await rig.serve('/workload')
    await expect(rig.start(`unix://host${rig.api.path}`)).rejects.toMatchObject({ code: 'malformed_address' })
    await expect(rig.start(`${tcp}/path`)).rejects.toMatchObject({ code: 'malformed_address' })
    expect(rig.api.calls).toEqual([])
  })

  for (const [id, code] of [
    ['EP-5', status.unavailable],
    ['EP-6', status.permissionDenied],
  ] as const)
    it(`${id} retries with backoff after status ${code}`, async () => {
      rig = await ConformanceRig.create()
      rig.api.failNext(code, 'not now', 4)
      await rig.api.listen()
      await rig.serve('/workload')
      const { ready } = await rig.start()
      await ready
      const calls = rig.api.callsOf('FetchX509SVID')
      expect(calls.length).toBeGreaterThanOrEqual(2)
      expect(Math.min(...distance(calls))).toBeGreaterThan(50)
    })

  it('EP-7 does not retry after InvalidArgument', async () => {
    rig = await ConformanceRig.create()
    rig.api.failNext(status.invalidArgument, 'no', 100)
    await rig.api.listen()
    const { ready } = await rig.start()
    await expect(ready).rejects.toMatchObject({ code: 'failed' })
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(rig.api.callsOf('FetchX509SVID')).toHaveLength(1)
    expect(rig.api.callsOf('FetchJWTBundles')).toHaveLength(1)
  })

  it('EP-8 waits for an endpoint that does not exist yet', async () => {
    rig = await ConformanceRig.create()
    await rig.serve('/workload')
    const { ready } = await rig.start()
    await new Promise((resolve) => setTimeout(resolve, 50))
    await rig.api.listen()
    await ready
  })
})

describe('Workload API client', () => {
  it('WA-1 reopens a stream that the server has ended', async () => {
    rig = await ConformanceRig.started()
    await rig.api.crash()
    const next = await rig.serve('/workload')
    await rig.api.listen()
    await rig.barrier(next)
  })

  for (const [name, empty] of Object.entries({
    svids: undefined,
    spiffe_id: { spiffeId: '' },
    x509_svid: { x509Svid: Buffer.of() },
    x509_svid_key: { x509SvidKey: Buffer.of() },
    bundle: { bundle: Buffer.of() },
  }))
    it(`WA-2/${name} skips a response in which it is empty`, async () => {
      rig = await ConformanceRig.started()
      const bad = rig.domain.id('/bad')
      const issued = await rig.domain.authority.issue(bad)
      const message = x509SvidMessage({ id: bad, issued, bundle: rig.domain.x509Bundle })
      rig.api.setX509Response({ svids: empty ? [{ ...message, ...empty }] : [] })
      expect((await rig.probeAs('/peer')).leaf?.equals(issued.chain[0] as Buffer)).toBe(false)
      const next = await rig.serve('/workload')
      let refused = 0
      await rig.until(async () => {
        const { line, leaf } = await rig.probeAs('/peer')
        if (line === undefined) refused += 1
        expect(leaf?.equals(issued.chain[0] as Buffer)).toBe(false)
        return leaf?.equals(next.chain[0] as Buffer) ?? false
      })
      expect(refused).toBe(0)
    })

  it('WA-3 presents the first SVID of a response', async () => {
    rig = await ConformanceRig.started()
    const [a, b] = await Promise.all(
      ['/a', '/b'].map(async (path) => {
        const id = rig.domain.id(path)
        return { id, issued: await rig.domain.authority.issue(id), bundle: rig.domain.x509Bundle }
      }),
    )
    if (!a || !b) throw new Error('unreachable')
    rig.api.setX509(a, b)
    await rig.barrier(a.issued)
    rig.api.setX509(b, a)
    await rig.barrier(b.issued)
  })

  it('WA-4 stops presenting its SVID when the agent rejects it', async () => {
    rig = await ConformanceRig.started()
    expect((await rig.probeAs('/peer')).leaf).toBeDefined()
    rig.api.setX509(new GrpcError(status.permissionDenied, 'no identity issued'))
    await rig.until(async () => (await rig.probeAs('/peer')).leaf === undefined)
  })
})
