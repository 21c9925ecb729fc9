import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { fetchJwtSvid, fetchX509Bundles } from '../workload-api/protocol.ts'
import { GrpcClient, GrpcError, GrpcServer, type ServerCall, status } from './index.ts'

const der = Buffer.from([0x30, 0x00])

describe('a gRPC server and its client on a unix socket', () => {
  let folder: string
  let path: string
  let server: GrpcServer
  let client: GrpcClient

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'grpc-'))
    path = join(folder, 'api.sock')
    server = new GrpcServer()
    client = new GrpcClient({ path })
  })
  afterEach(async () => {
    client.close()
    await server.close(0)
    await rm(folder, { recursive: true })
  })

  it('answers a unary call and passes metadata and socket to the handler', async () => {
    let seen: ServerCall | undefined
    server.unary(fetchJwtSvid, ({ audience }, call) => {
      seen = call
      return { svids: [{ spiffeId: 'spiffe://a/b', svid: audience.join('+'), hint: '' }] }
    })
    await server.listen({ path })
    const answer = await client.unary(
      fetchJwtSvid,
      { audience: ['x', 'y'], spiffeId: '' },
      { metadata: { 'workload.spiffe.io': 'true' } },
    )
    expect(answer).toEqual({ svids: [{ spiffeId: 'spiffe://a/b', svid: 'x+y', hint: '' }] })
    expect(seen?.metadata.getAll('workload.spiffe.io')).toEqual(['true'])
    expect(seen?.socket.constructor.name).toBe('Socket')
  })

  it('transmits an error with any characters in its message', async () => {
    server.unary(fetchJwtSvid, () => {
      throw new GrpcError(status.permissionDenied, 'no identity issued: 100 % "ümläut" 🎟\n')
    })
    await server.listen({ path })
    await expect(client.unary(fetchJwtSvid, { audience: [], spiffeId: '' })).rejects.toMatchObject({
      code: 7,
      details: 'no identity issued: 100 % "ümläut" 🎟\n',
    })
  })

  it('does not reveal internal errors to the caller', async () => {
    server.unary(fetchJwtSvid, () => {
      throw new Error('the password is hunter2')
    })
    await server.listen({ path })
    await expect(client.unary(fetchJwtSvid, { audience: [], spiffeId: '' })).rejects.toMatchObject({
      code: 13,
      details: 'internal error',
    })
  })

  it('answers an unknown method with Unimplemented', async () => {
    await server.listen({ path })
    await expect(client.unary(fetchJwtSvid, { audience: [], spiffeId: '' })).rejects.toMatchObject({
      code: 12,
      details: 'unknown method /SpiffeWorkloadAPI/FetchJWTSVID',
    })
  })

  it('streams messages, large ones too, and ends with the status of the handler', async () => {
    const large = new Uint8Array(300_000).fill(7)
    server.stream(fetchX509Bundles, async function* () {
      yield { crl: [], bundles: new Map([['spiffe://a', new Uint8Array(der)]]) }
      yield { crl: [], bundles: new Map([['spiffe://a', large]]) }
      throw new GrpcError(status.permissionDenied, 'no identity issued')
    })
    await server.listen({ path })
    const sizes: (number | undefined)[] = []
    const reading = async () => {
      for await (const { bundles } of client.stream(fetchX509Bundles, {}))
        sizes.push(bundles.get('spiffe://a')?.length)
    }
    await expect(reading()).rejects.toMatchObject({ code: 7 })
    expect(sizes).toEqual([2, 300_000])
  })

  it('aborts the handler when the caller leaves the stream', async () => {
    let left: () => void = () => {}
    const gone = new Promise<void>((resolve) => {
      left = resolve
    })
    server.stream(fetchX509Bundles, async function* (_request, call) {
      yield { crl: [], bundles: new Map() }
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve))
      left()
    })
    await server.listen({ path })
    for await (const _ of client.stream(fetchX509Bundles, {})) break
    await gone
  })

  it('ends open streams with Unavailable when it closes', async () => {
    server.stream(fetchX509Bundles, async function* (_request, call) {
      yield { crl: [], bundles: new Map() }
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve))
    })
    await server.listen({ path })
    const reading = async () => {
      for await (const _ of client.stream(fetchX509Bundles, {})) void server.close()
    }
    await expect(reading()).rejects.toMatchObject({ code: 14, details: 'the server is shutting down' })
  })

  it('ends a call at its deadline', async () => {
    server.unary(
      fetchJwtSvid,
      (_request, call) =>
        new Promise((_, reject) => {
          call.signal.addEventListener('abort', () => reject(call.signal.reason))
        }),
    )
    await server.listen({ path })
    await expect(
      client.unary(fetchJwtSvid, { audience: [], spiffeId: '' }, { timeoutMs: 20 }),
    ).rejects.toMatchObject({ code: 4 })
  })

  it('names the missing socket', async () => {
    await expect(client.unary(fetchJwtSvid, { audience: [], spiffeId: '' })).rejects.toMatchObject({
      code: 14,
      details: `cannot reach ${path}: connect ENOENT ${path}`,
    })
  })

  it('rejects a message over its limit', async () => {
    const strict = new GrpcServer({ maxMessageBytes: 100 })
    strict.unary(fetchJwtSvid, () => ({ svids: [] }))
    await strict.listen({ path })
    await expect(
      client.unary(fetchJwtSvid, { audience: ['x'.repeat(200_000)], spiffeId: '' }),
    ).rejects.toMatchObject({ code: 8 })
    await expect(client.unary(fetchJwtSvid, { audience: ['x'], spiffeId: '' })).resolves.toEqual({
      svids: [],
    })
    await strict.close(0)
  })
})
