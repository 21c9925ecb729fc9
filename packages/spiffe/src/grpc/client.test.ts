import { once } from 'node:events'
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createServer as createNetServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { fetchJwtSvid, fetchX509Bundles, jwtSvidResponse } from '../workload-api/protocol.ts'
import { GrpcClient, type GrpcClientOptions } from './client.ts'
import { frame } from './framing.ts'

const request = { audience: ['a'], spiffeId: '' }
const message = frame(jwtSvidResponse.encode({ svids: [] }))

describe('a client with another server implementation', () => {
  let server: Http2Server
  let client: GrpcClient
  let answer: (stream: ServerHttp2Stream) => void
  let sessions: ServerHttp2Session[]

  beforeEach(async () => {
    sessions = []
    server = createServer()
    server.on('session', (session) => {
      sessions.push(session)
    })
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {})
      answer(stream)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    connect()
  })
  afterEach(async () => {
    client.close()
    for (const session of sessions) session.destroy()
    server.close()
    await once(server, 'close')
  })

  function connect(options: GrpcClientOptions = {}): void {
    client?.close()
    client = new GrpcClient({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }, options)
  }

  const headers = { ':status': 200, 'content-type': 'application/grpc' }
  const respond = (stream: ServerHttp2Stream, body: Buffer | undefined, trailers: Record<string, string>) => {
    stream.respond(headers, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers(trailers))
    stream.end(body)
  }
  const call = (options = {}) => client.unary(fetchJwtSvid, request, options)

  it('reads the response, and the status from the trailers', async () => {
    answer = (stream) => respond(stream, message, { 'grpc-status': '0' })
    await expect(call()).resolves.toEqual({ svids: [] })
    answer = (stream) => respond(stream, undefined, { 'grpc-status': '7', 'grpc-message': 'no%20%C3%BC' })
    await expect(call()).rejects.toMatchObject({ code: 7, details: 'no ü' })
    answer = (stream) =>
      stream.respond({ ...headers, 'grpc-status': '3', 'grpc-message': 'x' }, { endStream: true })
    await expect(call()).rejects.toMatchObject({ code: 3, details: 'x' })
  })

  it('resets a call that it leaves', async () => {
    const left = new Promise((resolve) => {
      answer = (stream) => {
        stream.once('close', () => resolve(stream.rstCode))
        stream.respond(headers)
        stream.write(message)
      }
    })
    for await (const _ of client.stream(fetchX509Bundles, {})) break
    expect(await left).toBe(8)
  })

  it('does not reset a finished call, because servers disconnect clients with many resets', async () => {
    answer = (stream) => respond(stream, message, { 'grpc-status': '0' })
    for (let round = 0; round < 12; round++) await Promise.all(Array.from({ length: 100 }, () => call()))
    expect(sessions).toHaveLength(1)
  })

  it('maps HTTP errors to gRPC statuses', async () => {
    answer = (stream) => stream.respond({ ':status': 503 }, { endStream: true })
    await expect(call()).rejects.toMatchObject({
      code: 14,
      details: 'unexpected HTTP status code received from server: 503',
    })
  })

  it('rejects an incomplete response', async () => {
    answer = (stream) => {
      stream.respond(headers)
      stream.end(message)
    }
    await expect(call()).rejects.toMatchObject({
      code: 13,
      details: 'the server closed the stream without a status',
    })
    answer = (stream) => respond(stream, undefined, { 'grpc-status': '0' })
    await expect(call()).rejects.toMatchObject({
      code: 13,
      details: 'expected one response message, received none',
    })
    answer = (stream) => respond(stream, Buffer.concat([message, message]), { 'grpc-status': '0' })
    await expect(call()).rejects.toMatchObject({
      code: 13,
      details: 'expected one response message, received more',
    })
    answer = (stream) => respond(stream, message.subarray(0, 3), { 'grpc-status': '0' })
    await expect(call()).rejects.toMatchObject({ code: 13, details: 'the last message is truncated' })
    answer = (stream) => respond(stream, frame(Buffer.from([0x0a, 5, 1])), { 'grpc-status': '0' })
    await expect(call()).rejects.toMatchObject({
      code: 13,
      details: 'the response cannot be decoded: a field is truncated',
    })
    answer = (stream) => respond(stream, Buffer.from([1, 0, 0, 0, 0]), { 'grpc-status': '0' })
    await expect(call()).rejects.toMatchObject({ code: 13 })
  })

  it('rejects a message that is too large', async () => {
    connect({ maxMessageBytes: 10 })
    answer = (stream) => respond(stream, frame(Buffer.alloc(11)), { 'grpc-status': '0' })
    await expect(call()).rejects.toMatchObject({
      code: 8,
      details: 'received message larger than max (11 vs. 10)',
    })
  })

  it.each([
    [7, 14],
    [8, 1],
    [11, 8],
    [2, 13],
  ])('maps a reset with code %i to status %i', async (reset, code) => {
    answer = (stream) => stream.close(reset)
    await expect(call()).rejects.toMatchObject({ code })
  })

  it('reconnects after GOAWAY, and after the connection is lost', async () => {
    answer = (stream) => respond(stream, message, { 'grpc-status': '0' })
    await call()
    answer = (stream) => {
      stream.session?.goaway()
      respond(stream, message, { 'grpc-status': '0' })
    }
    await call()
    answer = (stream) => stream.session?.destroy()
    await expect(call()).rejects.toMatchObject({ code: 14 })
    answer = (stream) => respond(stream, message, { 'grpc-status': '0' })
    await expect(call()).resolves.toEqual({ svids: [] })
    expect(sessions).toHaveLength(3)
  })

  it('detects a hanging server with a ping', async () => {
    let connections = 0
    const deaf = createNetServer((socket) => {
      connections += 1
      socket.on('error', () => {}).resume()
      // A settings frame, so that the connection counts as established; then nothing.
      socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    })
    deaf.listen(0, '127.0.0.1')
    await once(deaf, 'listening')
    const impatient = new GrpcClient(
      { host: '127.0.0.1', port: (deaf.address() as AddressInfo).port },
      { keepAliveMs: 20, keepAliveTimeoutMs: 20 },
    )
    const reading = async () => {
      for await (const _ of impatient.stream(fetchX509Bundles, {})) throw new Error('unreachable')
    }
    await expect(reading()).rejects.toMatchObject({
      code: 14,
      details: expect.stringContaining('keepalive ping'),
    })
    expect(connections).toBe(1)
    impatient.close()
    deaf.close()
  })

  it('times out on a server that accepts and never responds', async () => {
    const mute = createNetServer((socket) => socket.on('error', () => {}).resume())
    mute.listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const patient = new GrpcClient(
      { host: '127.0.0.1', port: (mute.address() as AddressInfo).port },
      { connectTimeoutMs: 30 },
    )
    await expect(patient.unary(fetchJwtSvid, request)).rejects.toMatchObject({
      code: 14,
      details: expect.stringContaining('ETIMEDOUT'),
    })
    patient.close()
    mute.close()
  })

  it('cancels calls when it is closed, and rejects new ones', async () => {
    answer = () => client.close()
    await expect(call()).rejects.toMatchObject({ code: 1, details: 'the client is closed' })
    await expect(call()).rejects.toMatchObject({ code: 1, details: 'the client is closed' })
  })

  it('reports that a call was cancelled, and why', async () => {
    answer = () => {}
    const stop = new AbortController()
    const calling = call({ signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(calling).rejects.toMatchObject({ code: 1, cause: { message: 'enough' } })
  })
})
