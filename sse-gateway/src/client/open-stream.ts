import type { IncomingHttpHeaders } from 'node:http'
import http2, { type ClientHttp2Session } from 'node:http2'
import net from 'node:net'
import type { Readable } from 'node:stream'
import tls from 'node:tls'
import { AnswerTimeout, lazyPeerClient, peerFailure } from '@hallpass/service-kit/peers'
import { socketHost } from '@hallpass/untrusted/address'

/** The response to a request for a stream. The body is a stream only if `status` is 200. */
export interface StreamConnection {
  readonly protocol: 'HTTP/2' | 'HTTP/1.1'
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
  /** Sends a challenge response, over HTTP/2 on the same connection. */
  readonly send: (method: string, headers: Readonly<Record<string, string>>) => Promise<ChallengeAnswer>
  readonly close: () => void
}

/** The gateway's answer to a challenge response. */
export interface ChallengeAnswer {
  readonly status: number
  /** The body, at most {@link MAX_ANSWER_CHARACTERS}; empty if the status is 204. */
  readonly text: string
}

export interface StreamRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The CA certificates to trust, as PEM; undefined: the system's CAs. */
  readonly ca: string | undefined
  readonly http1: boolean
}

const PEER = 'sse-gateway'
/** The gateway's error bodies have a few hundred characters. */
const MAX_ANSWER_CHARACTERS = 4_096
/** Long enough for any server on this machine or in one data center. */
const TIMEOUT_MS = 5_000

/**
 * Opens a stream over HTTP/2 or HTTP/1.1, negotiated by ALPN. Over HTTP/2 it is one of Node's, which the peer client
 * does not have.
 * @throws {PeerError} if the server is unreachable, fails TLS verification or does not answer in time
 */
export async function openStream(request: StreamRequest): Promise<StreamConnection> {
  const { url } = request
  if (request.http1 || url.protocol === 'http:') return openHttp1(request)
  try {
    const socket = await connectTls(request)
    if (socket.alpnProtocol === 'h2')
      return await openHttp2(request, http2.connect(url.origin, { createConnection: () => socket }))
    socket.destroy()
  } catch (cause) {
    throw peerFailure({ peer: PEER, address: url.origin, timeoutMs: TIMEOUT_MS }, cause)
  }
  return openHttp1(request)
}

function connectTls({ url, ca }: StreamRequest): Promise<tls.TLSSocket> {
  const host = socketHost(url)
  const socket = tls.connect({
    host,
    port: Number(url.port || 443),
    // An IP address is not a server name (RFC 6066 §3). The certificate is still checked against the host.
    ...(net.isIP(host) ? {} : { servername: url.hostname }),
    ALPNProtocols: ['h2', 'http/1.1'],
    ...(ca === undefined ? {} : { ca }),
  })
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => socket.destroy(new AnswerTimeout()), TIMEOUT_MS)
    socket.once('secureConnect', () => resolve(socket)).once('error', reject)
    for (const end of ['secureConnect', 'close']) socket.once(end, () => clearTimeout(deadline))
  })
}

async function openHttp2(request: StreamRequest, session: ClientHttp2Session): Promise<StreamConnection> {
  const path = request.url.pathname + request.url.search
  const stream = session.request({ ':method': 'GET', ':path': path, ...request.headers }, { endStream: true })
  const headers = await new Promise<IncomingHttpHeaders & { ':status'?: number }>((resolve, reject) => {
    const deadline = setTimeout(() => session.destroy(new AnswerTimeout()), TIMEOUT_MS)
    session.once('error', reject)
    stream.once('error', reject).once('response', resolve)
    stream.once('response', () => clearTimeout(deadline)).once('close', () => clearTimeout(deadline))
  })
  // Later errors also end the body, whose error has the better message.
  session.on('error', () => {})
  return {
    protocol: 'HTTP/2',
    status: headers[':status'] ?? 0,
    headers,
    body: stream,
    send: (method, more) =>
      new Promise((resolve, reject) => {
        const answer = session.request({ ':method': method, ':path': path, ...more }, { endStream: true })
        let status = 0
        let text = ''
        answer.once('error', reject)
        answer.once('response', (head) => {
          status = head[':status'] ?? 0
        })
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text = (text + chunk).slice(0, MAX_ANSWER_CHARACTERS)
        })
        answer.once('end', () => resolve({ status, text }))
      }),
    close: () => session.destroy(),
  }
}

async function openHttp1({ url, headers, ca }: StreamRequest): Promise<StreamConnection> {
  const tls = ca === undefined ? {} : { tls: { ca } }
  const http = await lazyPeerClient({ peer: PEER, baseUrl: url.origin, timeoutMs: TIMEOUT_MS, ...tls })()
  const path = url.pathname + url.search
  const stream = await http.get<Readable>(path, { responseType: 'stream', headers })
  return {
    protocol: 'HTTP/1.1',
    status: stream.status,
    headers: stream.headers as IncomingHttpHeaders,
    body: stream.data,
    async send(method, more) {
      const { status, data } = await http.request({ url: path, method, headers: more, responseType: 'text' })
      return { status, text: String(data).slice(0, MAX_ANSWER_CHARACTERS) }
    },
    close: () => stream.data.destroy(),
  }
}
