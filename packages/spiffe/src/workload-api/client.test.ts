import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { GrpcError, status } from '../grpc/status.ts'
import { JwtSvidError } from '../jwt-svid/errors.ts'
import { parseAndValidate } from '../jwt-svid/parse.ts'
import { BundleSource } from '../sources/bundle-source.ts'
import { FakeWorkloadApi, jwks, TestTrustDomain } from '../testing/index.ts'
import { socketUri } from './address.ts'
import { WorkloadApiClient } from './client.ts'

describe('WorkloadApiClient', () => {
  let api: FakeWorkloadApi
  let domain: TestTrustDomain
  let client: WorkloadApiClient

  beforeEach(async () => {
    api = await FakeWorkloadApi.start()
    domain = await TestTrustDomain.create('example.org')
    client = new WorkloadApiClient({ address: api.address })
  })
  afterEach(async () => {
    client.close()
    await api.close()
  })

  it('fetches one response of each method', async () => {
    const id = domain.id('/a')
    const friend = await TestTrustDomain.create('friend.test')
    api.setX509({ id, issued: await domain.authority.issue(id), bundle: domain.x509Bundle })
    api.setX509Bundles([domain.x509Bundle, friend.x509Bundle])
    api.setJwtBundles({ 'example.org': jwks([domain.jwtKey]), 'friend.test': { keys: [] } })
    api.onFetchJwtSvid = ({ audience }) => ({
      svids: [{ spiffeId: id, svid: domain.jwtSvid('/a', audience), hint: '' }],
    })
    api.onValidateJwtSvid = ({ svid, audience }) => {
      const { id: validated, claims } = parseAndValidate(svid, domain.jwtBundle, audience)
      return { spiffeId: `${validated}`, claims: claims as never }
    }
    expect((await client.fetchX509Svid()).id.toString()).toBe(id)
    expect((await client.fetchX509Context()).bundles.x509Bundles).toHaveLength(1)
    expect(
      (await client.fetchX509Bundles()).getX509Bundle(friend.trustDomain).equals(friend.x509Bundle),
    ).toBe(true)
    expect((await client.fetchJwtBundles()).getJwtBundle(friend.trustDomain).authorities).toEqual([])
    const jwt = await client.fetchJwtSvid({ audience: ['me'] })
    expect(await client.validateJwtSvid(jwt.marshal(), 'me')).toMatchObject({
      claims: { sub: id, aud: ['me'] },
    })
  })

  it('does not retry a rejected call', async () => {
    await expect(client.fetchX509Svid()).rejects.toMatchObject({
      code: 7,
      message: 'rpc error: code = PermissionDenied desc = no identity issued',
    })
    api.onValidateJwtSvid = () => {
      throw new GrpcError(
        status.invalidArgument,
        new JwtSvidError('expired', 'jwtsvid: token has expired').message,
      )
    }
    await expect(client.validateJwtSvid('x', 'me')).rejects.toMatchObject({ code: 3 })
    expect(api.calls).toHaveLength(2)
  })

  it('times out if the agent does not answer', async () => {
    api.onFetchJwtSvid = () => new Promise(() => {})
    await expect(client.fetchJwtSvid({ audience: 'a' }, { timeoutMs: 50 })).rejects.toMatchObject({ code: 4 })
    await expect(
      client.fetchJwtSvid({ audience: 'a' }, { signal: AbortSignal.timeout(50) }),
    ).rejects.toMatchObject({ code: 1 })
  })

  it('makes a thousand concurrent calls', async () => {
    api.onFetchJwtSvid = ({ audience }) => ({
      svids: [{ spiffeId: domain.id('/a'), svid: domain.jwtSvid('/a', audience), hint: '' }],
    })
    const tokens = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => client.fetchJwtSvid({ audience: `a${index}` })),
    )
    expect(tokens.every(({ audience }, index) => audience[0] === `a${index}`)).toBe(true)
  })

  it('watches until it is aborted', async () => {
    api.setX509Bundles([domain.x509Bundle])
    const stop = new AbortController()
    const sizes: number[] = []
    const watching = client.watchX509Bundles(
      {
        onUpdate(bundles) {
          sizes.push(bundles.x509Bundles.length)
          if (sizes.length === 2) stop.abort()
        },
      },
      stop.signal,
    )
    setTimeout(async () => {
      api.setX509Bundles([domain.x509Bundle, (await TestTrustDomain.create('b.test')).x509Bundle])
    }, 20)
    await watching
    expect(sizes).toEqual([1, 2])
  })

  it('BundleSource has the bundles of both kinds, without an identity', async () => {
    api.setX509Bundles([domain.x509Bundle])
    api.setJwtBundles({ 'example.org': jwks([domain.jwtKey]) })
    const source = await BundleSource.open({ address: api.address })
    expect(source.getX509Bundle(domain.trustDomain).equals(domain.x509Bundle)).toBe(true)
    expect(parseAndValidate(domain.jwtSvid('/a', 'me'), source, 'me').id.path).toBe('/a')
    expect(source.health()).toMatchObject({ x509: { state: 'current' }, jwt: { state: 'current' } })
    source.close()
    expect(() => source.getX509Bundle(domain.trustDomain)).toThrow('bundlesource: source is closed')
    await expect(
      BundleSource.open({ address: socketUri(`${api.folder}/no.sock`), timeoutMs: 50 }),
    ).rejects.toMatchObject({
      code: 'not_ready',
    })
  })
})
