import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { fetchJwtSvid, fetchX509Bundles } from '../workload-api/protocol.ts'
import { GrpcClient } from './client.ts'
import type { Method } from './method.ts'
import { GrpcServer } from './server.ts'
import { GrpcError, status } from './status.ts'

/** Makes a method definition for @grpc/grpc-js. */
const definition = <Q, A>({ path, kind, request, response }: Method<'unary' | 'stream', Q, A>) => ({
  path,
  requestStream: false,
  responseStream: kind === 'stream',
  requestSerialize: (message: Q) => request.encode(message),
  requestDeserialize: (bytes: Buffer) => request.decode(bytes),
  responseSerialize: (message: A) => response.encode(message),
  responseDeserialize: (bytes: Buffer) => response.decode(bytes),
})

const large = new Uint8Array(200_000).fill(9)
const bundles = { crl: [], bundles: new Map([['spiffe://a', large]]) }
const request = { audience: ['a'], spiffeId: '' }

describe('@grpc/grpc-js', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'grpc-js-'))
    path = join(folder, 'api.sock')
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('as a client works with this server', async () => {
    const server = new GrpcServer()
      .unary(fetchJwtSvid, ({ audience }, { metadata }) => {
        if (metadata.get('workload.spiffe.io') !== 'true')
          throw new GrpcError(status.invalidArgument, 'ü 100 %')
        return { svids: [{ spiffeId: 'spiffe://a/b', svid: audience.join(), hint: '' }] }
      })
      .stream(fetchX509Bundles, async function* () {
        yield bundles
        yield bundles
        throw new GrpcError(status.permissionDenied, 'no identity issued')
      })
    await server.listen({ path })
    const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure())
    const call = (metadata: grpc.Metadata) =>
      new Promise((resolve, reject) => {
        const { path: name, requestSerialize, responseDeserialize } = definition(fetchJwtSvid)
        client.makeUnaryRequest(
          name,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
          (error, answer) => (error ? reject(error) : resolve(answer)),
        )
      })
    const metadata = new grpc.Metadata()
    metadata.set('workload.spiffe.io', 'true')
    await expect(call(metadata)).resolves.toEqual({
      svids: [{ spiffeId: 'spiffe://a/b', svid: 'a', hint: '' }],
    })
    await expect(call(new grpc.Metadata())).rejects.toMatchObject({ code: 3, details: 'ü 100 %' })

    const { path: name, requestSerialize, responseDeserialize } = definition(fetchX509Bundles)
    const sizes: (number | undefined)[] = []
    const ended = await new Promise<grpc.ServiceError>((resolve) => {
      client
        .makeServerStreamRequest(name, requestSerialize, responseDeserialize, {})
        .on('data', (message: typeof bundles) => sizes.push(message.bundles.get('spiffe://a')?.length))
        .on('error', resolve)
    })
    expect(sizes).toEqual([200_000, 200_000])
    expect(ended).toMatchObject({ code: 7, details: 'no identity issued' })
    client.close()
    await server.close(0)
  })

  it('as a server works with this client', async () => {
    const server = new grpc.Server()
    server.addService(
      { FetchJWTSVID: definition(fetchJwtSvid), FetchX509Bundles: definition(fetchX509Bundles) } as never,
      {
        FetchJWTSVID(call: { request: typeof request }, callback: grpc.sendUnaryData<unknown>) {
          if (call.request.audience.length === 0) callback({ code: 3, details: 'ü 100 %' })
          else callback(null, { svids: [{ spiffeId: 'spiffe://a/b', svid: 'token', hint: '' }] })
        },
        FetchX509Bundles(call: grpc.ServerWritableStream<unknown, unknown>) {
          call.write(bundles)
          call.emit('error', { code: 14, details: 'going' })
        },
      } as never,
    )
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      )
    })
    const client = new GrpcClient({ path })
    await expect(client.unary(fetchJwtSvid, request)).resolves.toEqual({
      svids: [{ spiffeId: 'spiffe://a/b', svid: 'token', hint: '' }],
    })
    await expect(client.unary(fetchJwtSvid, { ...request, audience: [] })).rejects.toMatchObject({
      code: 3,
      details: 'ü 100 %',
    })
    const sizes: (number | undefined)[] = []
    const reading = async () => {
      for await (const message of client.stream(fetchX509Bundles, {}))
        sizes.push(message.bundles.get('spiffe://a')?.length)
    }
    await expect(reading()).rejects.toMatchObject({ code: 14, details: 'going' })
    expect(sizes).toEqual([200_000])
    client.close()
    server.forceShutdown()
  })
})
