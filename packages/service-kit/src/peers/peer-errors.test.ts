import http from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { runInTrace, traceFrom } from '../observation/trace.ts'
import { createPeerCaller } from './peer-caller.ts'
import { createPeerClient } from './peer-client.ts'
import { PeerError, peerFailure, unexpectedAnswer } from './peer-errors.ts'

const sockets = new Set<Socket>()
const servers: Server[] = []
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function listen(server: Server): Promise<string> {
  servers.push(server)
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const tcp = (answer: (socket: Socket) => void) =>
  listen(createServer((socket) => socket.once('data', () => answer(socket))))

const LIMIT = 64

/** The ways in which a call can fail: the table of the README. */
const FAILURES: readonly [
  what: string,
  url: () => Promise<string>,
  status: number,
  code: string,
  message: RegExp,
][] = [
  [
    'the connection is refused',
    async () => 'http://127.0.0.1:1',
    502,
    'peer_unreachable',
    /^b at \S+:1 is not reachable \(ECONNREFUSED\)\.$/,
  ],
  [
    'the peer closes the connection',
    () => tcp((socket) => socket.end()),
    502,
    'peer_unreachable',
    /^b at \S+ is not reachable \((UND_ERR_SOCKET|ECONNRESET)\)\.$/,
  ],
  [
    'the peer closes the connection in the middle of its response',
    () => tcp((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')),
    502,
    'peer_unreachable',
    /^b at \S+ is not reachable \(UND_ERR_SOCKET\)\.$/,
  ],
  [
    'the peer accepts and is silent',
    () => tcp(() => {}),
    504,
    'peer_timeout',
    /^b at \S+ did not answer within 300 ms\.$/,
  ],
  [
    'the peer does not complete its response',
    () => tcp((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')),
    504,
    'peer_timeout',
    /^b at \S+ did not answer within 300 ms\.$/,
  ],
  [
    'the peer uses another protocol',
    () => tcp((socket) => socket.end('220 mail.example ESMTP\r\n')),
    502,
    'peer_unexpected_answer',
    /^b at \S+ sent a response that is not HTTP \(.+\)\.$/,
  ],
  [
    'the peer does not use TLS',
    async () => (await tcp((socket) => socket.end('220 mail.example ESMTP\r\n'))).replace('http:', 'https:'),
    502,
    'peer_not_trusted',
    /^b at \S+ failed TLS verification \([A-Z0-9_]+\)\.$/,
  ],
  [
    'the response is longer than the limit',
    () => listen(http.createServer((_, response) => response.end('x'.repeat(LIMIT * 1_000)))),
    502,
    'peer_answer_too_long',
    /^b at \S+ sent a response that exceeds the size limit\.$/,
  ],
]

describe.each([
  [
    'createPeerCaller',
    (baseUrl: string) =>
      createPeerCaller({ peer: 'b', baseUrl, timeoutMs: 300, maxAnswerBytes: LIMIT })({
        method: 'GET',
        path: '/',
      }),
  ],
  [
    'createPeerClient',
    (baseUrl: string) =>
      createPeerClient({ peer: 'b', baseUrl, timeoutMs: 300, maxAnswerBytes: LIMIT }).get('/'),
  ],
  [
    'createPeerClient without a base URL',
    (baseUrl: string) =>
      createPeerClient({ peer: 'b', timeoutMs: 300, maxAnswerBytes: LIMIT }).get(`${baseUrl}/`),
  ],
])('the failure of a call through %s', (_client, call) => {
  it.each(FAILURES)('if %s', async (_what, url, status, code, message) => {
    await expect(call(await url())).rejects.toMatchObject({
      name: 'PeerError',
      peer: 'b',
      status,
      code,
      message: expect.stringMatching(message),
    })
  })

  it('if the caller’s deadline has passed: no call is made', async () => {
    const late = traceFrom(undefined, 'a', performance.now() - 1)
    await expect(runInTrace(late, () => call('http://127.0.0.1:1'))).rejects.toMatchObject({
      status: 504,
      code: 'deadline_exceeded',
      message: "b was not called: the caller's deadline has passed.",
    })
  })
})

describe('unexpectedAnswer', () => {
  it('is 502 with the message of the peer, or 504 if the peer answered 504', () => {
    expect(unexpectedAnswer('b', 404, 'no such key')).toMatchObject({
      status: 502,
      code: 'peer_unexpected_answer',
      message: 'b answered 404: no such key',
    })
    expect(unexpectedAnswer('b', 504, 'c did not answer')).toMatchObject({
      status: 504,
      code: 'peer_timeout',
      message: 'b answered 504: c did not answer',
    })
  })
})

describe('peerFailure', () => {
  const call = { peer: 'b', address: 'https://b', timeoutMs: 5 }

  it('returns a PeerError unchanged', () => {
    const error = new PeerError('c', 502, 'peer_unreachable', 'c is unavailable.')
    expect(peerFailure(call, error)).toBe(error)
  })

  it.each([
    ['CERT_HAS_EXPIRED', 'CERT_HAS_EXPIRED'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['INVALID_PURPOSE', 'INVALID_PURPOSE'],
    // The message of our own X.509 errors is more specific than their code.
    ['svid_expired', 'the SVID has expired'],
  ])('maps %s to peer_not_trusted', (code, shown) => {
    const cause = Object.assign(new Error('the SVID has expired'), { code, name: 'SpiffeTlsError' })
    expect(peerFailure(call, cause)).toMatchObject({
      code: 'peer_not_trusted',
      message: `b at https://b failed TLS verification (${shown}).`,
      cause,
    })
  })
})
