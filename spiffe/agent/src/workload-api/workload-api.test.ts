import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import {
  GrpcError,
  parseAndValidate,
  SourceError,
  status,
  TrustDomain,
  verifyX509Svid,
  WorkloadApiClient,
  X509Source,
} from '@hallpass/spiffe'
import { GrpcClient } from '@hallpass/spiffe/grpc'
import * as api from '@hallpass/spiffe/workload-api'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type RunningAgent, startAgent } from '../testing/agent.ts'

const HEADER = { 'workload.spiffe.io': 'true' }
const own = TrustDomain.ofName('example.org')

let agent: RunningAgent
const open: { close(): void }[] = []
beforeEach(async () => {
  agent = await startAgent()
})
afterEach(async () => {
  for (const closable of open.splice(0)) closable.close()
  await agent.stop()
})

const keep = <T extends { close(): void }>(closable: T): T => {
  open.push(closable)
  return closable
}
const clientOf = (name: string) => keep(new WorkloadApiClient({ address: agent.address(name) }))
/** A plain client that can send any metadata and any request. */
const rawClientOf = (name: string) => keep(new GrpcClient({ path: agent.socket(name) }))
const refusal = async (call: Promise<unknown>) => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof GrpcError ? [error.code, error.details] : error
}

describe('FetchX509SVID', () => {
  it('returns the identity of the socket, which verifies against the bundle in the response', async () => {
    const { svids, bundles } = await clientOf('client').fetchX509Context()
    expect(svids.map(({ id }) => id.toString())).toEqual(['spiffe://example.org/client'])
    const { id } = verifyX509Svid(svids[0]?.certificates.map(({ raw }) => raw) ?? [], bundles)
    expect(id.toString()).toBe('spiffe://example.org/client')
  })

  it('returns the same SVID to concurrent callers', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => clientOf('client').fetchX509Svid()))
    expect(new Set(answers.map((svid) => svid.certificates[0]?.x509.serialNumber)).size).toBe(1)
  })

  it('sends the first state immediately and the next when an authority starts signing', async () => {
    const stream = rawClientOf('client').stream(api.fetchX509Svid, {}, { metadata: HEADER })
    const next = async () => (await stream.next()).value?.svids[0]
    const first = await next()
    await agent.admin.rotate('x509')
    const announced = await next()
    // The new authority is published before it signs: the same SVID, a longer bundle.
    expect(announced?.x509Svid).toEqual(first?.x509Svid)
    expect(announced?.bundle.length).toBeGreaterThan(first?.bundle.length ?? 0)
    const signed = await next()
    expect(signed?.x509Svid).not.toEqual(first?.x509Svid)
    await stream.return()
  })

  it('uses the hint, the DNS names and the lifetime of the entry', async () => {
    await agent.admin.addEntry({
      id: 'worker',
      spiffeId: 'spiffe://example.org/worker',
      selectors: ['socket:worker'],
      dnsNames: ['worker.example.org'],
      hint: 'internal',
      x509TtlSeconds: 60,
    })
    const svid = await clientOf('worker').fetchX509Svid()
    expect(svid.hint).toBe('internal')
    expect(Math.abs(svid.expiresAt - Date.now() - 60_000)).toBeLessThan(2_000)
    expect(svid.certificates[0]?.x509.subjectAltName).toBe(
      'URI:spiffe://example.org/worker, DNS:worker.example.org',
    )
  })
})

describe('a stream', () => {
  it('ends with PermissionDenied when its entry is revoked, and a new one works when it is restored', async () => {
    const stream = rawClientOf('client').stream(api.fetchX509Svid, {}, { metadata: HEADER })
    await stream.next()
    await agent.admin.revoke('client')
    const revoked = [
      status.permissionDenied,
      'no identity issued: the entry of this workload is revoked; npm run spiffe:agent -- restore client restores it',
    ]
    expect(await refusal(stream.next())).toEqual(revoked)
    expect(await refusal(clientOf('client').fetchX509Svid())).toEqual(revoked)
    await agent.admin.restore('client')
    expect((await clientOf('client').fetchX509Svid()).id.toString()).toBe('spiffe://example.org/client')
  })

  it('makes a source withdraw its SVID when the entry is removed', async () => {
    const source = keep(await X509Source.open({ address: agent.address('client') }))
    expect(source.getX509Svid().id.path).toBe('/client')
    const withdrawn = new Promise((resolve) => source.once('withdraw', resolve))
    await agent.admin.removeEntry('client')
    await withdrawn
    expect(() => source.getX509Svid()).toThrow(SourceError)
  })

  it('gets only updates that concern it', async () => {
    const stream = rawClientOf('client').stream(api.fetchJwtBundles, {}, { metadata: HEADER })
    await stream.next()
    const next = stream.next()
    await agent.admin.revoke('stranger')
    await agent.admin.rotate('jwt')
    // The next message is the rotation, not the same bundle again.
    const keys = JSON.parse(Buffer.from((await next).value?.bundles.get(own.id) ?? []).toString())
    expect(keys.keys).toHaveLength(2)
    await stream.return()
  })
})

describe('FetchJWTSVID', () => {
  it('returns a token for the audience, which verifies against the JWT bundle', async () => {
    const client = clientOf('client')
    const svid = await client.fetchJwtSvid({ audience: ['a', 'b'] })
    const bundles = await client.fetchJwtBundles()
    const { id, audience, claims } = parseAndValidate(svid.marshal(), bundles, 'b')
    expect([id.toString(), audience]).toEqual(['spiffe://example.org/client', ['a', 'b']])
    expect(claims).toMatchObject({
      iss: expect.stringMatching(/^http:\/\/localhost/),
      jti: expect.any(String),
    })
    expect(svid.expiresAt - (svid.issuedAt ?? 0)).toBe(300_000)
  })

  it('issues a new token each time', async () => {
    const client = clientOf('client')
    const [a, b] = await Promise.all([1, 2].map(() => client.fetchJwtSvid({ audience: 'a' })))
    expect(a?.claims.jti).not.toBe(b?.claims.jti)
  })

  it.each([
    [{ audience: [], spiffeId: '' }, status.invalidArgument, 'audience must be specified'],
    [
      { audience: ['a'], spiffeId: 'client' },
      status.invalidArgument,
      'invalid requested SPIFFE ID: scheme is missing or invalid',
    ],
    [
      { audience: ['a'], spiffeId: 'spiffe://example.org/server' },
      status.permissionDenied,
      'no identity issued',
    ],
  ])('rejects %j', async (request, code, text) => {
    const call = rawClientOf('client').unary(api.fetchJwtSvid, request, { metadata: HEADER })
    expect(await refusal(call)).toEqual([code, text])
  })

  it('answers a thousand concurrent callers', async () => {
    const clients = Array.from({ length: 20 }, () => clientOf('client'))
    // Connect first: on a small machine, this process is too busy later to meet the connection deadline.
    for (const client of clients) await client.fetchJwtSvid({ audience: 'first' })
    const tokens = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => clients[index % 20]?.fetchJwtSvid({ audience: `${index}` })),
    )
    expect(new Set(tokens.map((svid) => svid?.claims.jti)).size).toBe(1000)
  })
})

describe('ValidateJWTSVID', () => {
  it('returns the subject of a token, with its claims', async () => {
    const token = await clientOf('client').fetchJwtSvid({ audience: 'server' })
    const { id, claims } = await clientOf('server').validateJwtSvid(token.marshal(), 'server')
    expect(id.toString()).toBe('spiffe://example.org/client')
    expect(claims).toMatchObject({ sub: 'spiffe://example.org/client', aud: ['server'] })
  })

  it('rejects a token for another audience with the message of SPIRE', async () => {
    const token = await clientOf('client').fetchJwtSvid({ audience: 'b' })
    expect(await refusal(clientOf('server').validateJwtSvid(token.marshal(), 'a'))).toEqual([
      status.invalidArgument,
      'expected audience in ["a"] (audience=["b"])',
    ])
  })

  it.each([
    [{ audience: '', svid: 'x' }, 'audience must be specified'],
    [{ audience: 'a', svid: '' }, 'svid must be specified'],
    [{ audience: 'a', svid: 'not a token' }, 'unable to parse JWT token'],
  ])('rejects %j', async (request, text) => {
    const call = rawClientOf('server').unary(api.validateJwtSvid, request, { metadata: HEADER })
    expect(await refusal(call)).toEqual([status.invalidArgument, text])
  })

  it('tolerates the clock skew of CLOCK_TOLERANCE_SECONDS', async () => {
    const clock = new ManualClock(Date.now())
    const skewed = await startAgent({ JWT_TTL_SECONDS: '60' }, { clock: clock.now })
    try {
      const client = keep(new WorkloadApiClient({ address: skewed.address('client'), clock: clock.now }))
      const token = (await client.fetchJwtSvid({ audience: 'server' })).marshal()
      for (const skewMs of [-2_000, 4_000 + 60_000]) {
        clock.advance(skewMs)
        expect((await client.validateJwtSvid(token, 'server')).claims).toMatchObject({ aud: ['server'] })
        if (skewMs < 0) clock.advance(-skewMs)
      }
      clock.advance(3_000)
      expect(await refusal(client.validateJwtSvid(token, 'server'))).toEqual([
        status.invalidArgument,
        'token has expired',
      ])
    } finally {
      await skewed.stop()
    }
  })

  it('does not trust the keys of another trust domain', async () => {
    const other = await startAgent({ TRUST_DOMAIN: 'other.org' })
    try {
      const stranger = keep(new WorkloadApiClient({ address: other.address('client') }))
      const token = await stranger.fetchJwtSvid({ audience: 'server' })
      expect(await refusal(clientOf('server').validateJwtSvid(token.marshal(), 'server'))).toEqual([
        status.invalidArgument,
        'no keys found for trust domain "other.org"',
      ])
    } finally {
      await other.stop()
    }
  })
})

describe('every method', () => {
  it.each([
    ['absent', {}],
    ['in capitals', { 'workload.spiffe.io': 'True' }],
    ['given twice', { 'workload.spiffe.io': ['true', 'true'] }],
  ])('rejects a call whose security header is %s', async (_, metadata) => {
    const call = rawClientOf('client').unary(
      api.fetchJwtSvid,
      { audience: ['a'], spiffeId: '' },
      { metadata },
    )
    expect(await refusal(call)).toEqual([status.invalidArgument, 'security header missing from request'])
  })

  it('answers Unimplemented for the optional WIT profile', async () => {
    const stream = rawClientOf('client').stream(api.fetchWitSvid, { spiffeId: '' }, { metadata: HEADER })
    expect(await refusal(stream.next())).toEqual([
      status.unimplemented,
      'fetching WIT-SVIDs is not implemented',
    ])
  })

  it('answers Unavailable when attestation fails, without the reason', async () => {
    const { WorkloadApi } = await import('./workload-api.ts')
    const { Changes } = await import('./changes.ts')
    const { createServer } = await import('node:net')
    const workloadApi = new WorkloadApi({
      leewaySeconds: 5,
      entries: () => [],
      issuer: undefined as never,
      bundles: undefined as never,
      changes: new Changes(),
      clock: Date.now,
      onError: () => {},
    })
    const path = join(agent.folder, 'broken.sock')
    const server = createServer((socket) => workloadApi.serve(socket, Promise.reject(new Error('secret'))))
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const client = keep(new WorkloadApiClient({ address: `unix://${path}` }))
    expect(await refusal(client.fetchX509Svid())).toEqual([status.unavailable, 'workload attestation failed'])
    server.close()
    await workloadApi.server.close()
  })
})
