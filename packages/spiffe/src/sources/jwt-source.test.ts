import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { GrpcError, status } from '../grpc/status.ts'
import { parseAndValidate } from '../jwt-svid/parse.ts'
import { TrustDomain } from '../spiffe-id/trust-domain.ts'
import { FakeWorkloadApi, jwks, TestTrustDomain } from '../testing/index.ts'
import { JwtSource, type JwtSourceOptions } from './jwt-source.ts'

const denied = new GrpcError(status.permissionDenied, 'no identity issued')
const refuse = () => {
  throw denied
}

describe('JwtSource', () => {
  let api: FakeWorkloadApi
  let domain: TestTrustDomain
  let now: number
  let source: JwtSource

  beforeEach(async () => {
    now = Date.now()
    api = await FakeWorkloadApi.start()
    domain = await TestTrustDomain.create('example.org', () => now)
    api.setJwtBundles({ 'example.org': jwks([domain.jwtKey]) })
    api.onFetchJwtSvid = issue
    await open()
  })
  afterEach(async () => {
    source.close()
    await api.close()
  })

  async function open(options: JwtSourceOptions = {}): Promise<void> {
    source?.close()
    source = await JwtSource.open({ address: api.address, clock: () => now, ...options })
  }

  let serial = 0
  const issue: FakeWorkloadApi['onFetchJwtSvid'] = ({ audience, spiffeId }) => {
    const path = spiffeId === '' ? '/default' : new URL(spiffeId).pathname
    const svid = domain.jwtSvid(path, audience, { jti: String(++serial) })
    return { svids: [{ spiffeId: domain.id(path), svid, hint: 'first' }] }
  }

  const asked = () => api.jwtSvidRequests.length

  it('fetches a token that its own bundles validate', async () => {
    const svid = await source.fetchJwtSvid({ audience: 'someone' })
    expect(svid).toMatchObject({ hint: 'first', audience: ['someone'] })
    const validated = parseAndValidate(svid.marshal(), source, 'someone', { clock: () => now })
    expect(validated.id.toString()).toBe('spiffe://example.org/default')
  })

  it('caches a token per set of audiences and subject', async () => {
    const first = await source.fetchJwtSvid({ audience: ['a', 'b'] })
    expect(await source.fetchJwtSvid({ audience: ['b', 'a', 'b'] })).toBe(first)
    expect(await source.fetchJwtSvid({ audience: ['a'] })).not.toBe(first)
    const other = await source.fetchJwtSvid({ audience: ['a', 'b'], subject: domain.id('/other') })
    expect(other.id.path).toBe('/other')
    expect(asked()).toBe(3)
  })

  it('calls the agent once for many callers', async () => {
    const tokens = await Promise.all(Array.from({ length: 50 }, () => source.fetchJwtSvid({ audience: 'a' })))
    expect(new Set(tokens).size).toBe(1)
    expect(asked()).toBe(1)
  })

  it('renews at half life, in the background', async () => {
    const first = await source.fetchJwtSvid({ audience: 'a' })
    now += 149_000
    expect(await source.fetchJwtSvid({ audience: 'a' })).toBe(first)
    expect(asked()).toBe(1)
    now += 2000
    expect(await source.fetchJwtSvid({ audience: 'a' })).toBe(first)
    await untilAnother(first)
    expect(asked()).toBe(2)
  })

  async function untilAnother(first: unknown): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if ((await source.fetchJwtSvid({ audience: 'a' })) !== first) return
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error('no other token was received')
  }

  it('returns the old token while the agent is unavailable, but no expired one', async () => {
    const first = await source.fetchJwtSvid({ audience: 'a' })
    await api.crash()
    now += 200_000
    for (let calls = 0; calls < 3; calls++) {
      expect(await source.fetchJwtSvid({ audience: 'a' })).toBe(first)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    now += 96_000 // Four seconds before its expiry: it could expire before it arrives.
    await expect(source.fetchJwtSvid({ audience: 'a' })).rejects.toMatchObject({
      name: 'GrpcError',
      code: 14,
    })
  })

  it('drops the token when the agent rejects the renewal', async () => {
    await source.fetchJwtSvid({ audience: 'a' })
    api.onFetchJwtSvid = refuse
    now += 151_000
    await source.fetchJwtSvid({ audience: 'a' })
    await new Promise((resolve) => setTimeout(resolve, 50))
    await expect(source.fetchJwtSvid({ audience: 'a' })).rejects.toMatchObject({
      code: 7,
      message: 'rpc error: code = PermissionDenied desc = no identity issued',
    })
  })

  it('drops tokens and bundles when the agent rejects the bundle request', async () => {
    await source.fetchJwtSvid({ audience: 'a' })
    api.onFetchJwtSvid = refuse
    const withdrawn = once(source, 'withdraw')
    api.setJwtBundles(denied)
    await withdrawn
    await expect(source.fetchJwtSvid({ audience: 'a' })).rejects.toMatchObject({ code: 7 })
    expect(() => source.getJwtBundle(domain.trustDomain)).toThrow(
      expect.objectContaining({ code: 'withdrawn' }),
    )
    expect(() => parseAndValidate(domain.jwtSvid('/a', 'a'), source, 'a', { clock: () => now })).toThrow(
      expect.objectContaining({
        code: 'bundle_missing',
        message: 'jwtsvid: no bundle found for trust domain "example.org"',
      }),
    )
  })

  it('bypasses the cache on request', async () => {
    const first = await source.fetchJwtSvid({ audience: 'a' })
    expect(await source.fetchJwtSvid({ audience: 'a', fresh: true })).not.toBe(first)
  })

  it('does not return a token with another ID than the response names', async () => {
    api.onFetchJwtSvid = () => ({
      svids: [{ spiffeId: domain.id('/other'), svid: domain.jwtSvid('/a', 'a'), hint: '' }],
    })
    await expect(source.fetchJwtSvid({ audience: 'a' })).rejects.toMatchObject({
      code: 'malformed_response',
      message: expect.stringContaining('the token is for spiffe://example.org/a, but the response names'),
    })
    api.onFetchJwtSvid = () => ({ svids: [] })
    await expect(source.fetchJwtSvid({ audience: 'b' })).rejects.toMatchObject({
      message: 'workloadapi: JWTSVIDResponse is not usable: it contains no SVIDs',
    })
  })

  it('requires an audience', async () => {
    await expect(source.fetchJwtSvid({ audience: [] })).rejects.toThrow()
  })

  it('does not reveal the token when logged', async () => {
    const svid = await source.fetchJwtSvid({ audience: 'a' })
    const { inspect } = await import('node:util')
    for (const text of [JSON.stringify(svid), inspect(svid), `${inspect({ svid }, { depth: 9 })}`])
      expect(text).not.toContain('eyJ')
  })

  it('trusts bundles that it cannot refresh only for maxStaleMs', async () => {
    await open({ maxStaleMs: 60_000 })
    const lost = once(source, 'failure')
    await api.crash()
    await lost
    expect(source.getJwtBundle(TrustDomain.ofName('example.org')).authorities).toHaveLength(1)
    now += 60_001
    expect(() => source.getJwtBundle(domain.trustDomain)).toThrow(expect.objectContaining({ code: 'stale' }))
  })

  it('throws after it was closed', async () => {
    source.close()
    await expect(source.fetchJwtSvid({ audience: 'a' })).rejects.toThrow('jwtsource: source is closed')
    expect(() => source.getJwtBundle(domain.trustDomain)).toThrow('jwtsource: source is closed')
  })
})
