import http, { type IncomingHttpHeaders } from 'node:http'
import http2, { type ClientHttp2Session } from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import type { Readable } from 'node:stream'
import tls from 'node:tls'
import { socketHost } from '@hallpass/untrusted/address'

/** The response to a request for a stream. The body is a stream only if `status` is 200. */
export interface StreamConnection {
  readonly protocol: 'HTTP/2' | 'HTTP/1.1'
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
  /** Sends a challenge response, over HTTP/2 on the same connection, and resolves to its status. */
  readonly send: (method: string, headers: Readonly<Record<string, string>>) => Promise<number>
  readonly close: () => void
}

export interface StreamRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The CA certificates to trust, as PEM; undefined: the system's CAs. */
  readonly ca: string | undefined
  readonly http1: boolean
}

/** Long enough for any server on this machine or in one data center. */
const TIMEOUT_MS = 5_000

/**
 * Opens a stream over HTTP/2 or HTTP/1.1, negotiated by ALPN.
 * Rejects if the server is unreachable or fails TLS verification.
 */
export async function openStream(request: StreamRequest): Promise<StreamConnection> {
  const { url, ca, http1 } = request
  if (url.protocol === 'http:') return openHttp1(request)
  const socket = tls.connect({
    host: socketHost(url),
    port: Number(url.port || 443),
    // An IP address is not a server name (RFC 6066 §3). The certificate is still checked against the host.
    ...(net.isIP(socketHost(url)) ? {} : { servername: url.hostname }),
    ALPNProtocols: http1 ? ['http/1.1'] : ['h2', 'http/1.1'],
    ...(ca === undefined ? {} : { ca }),
  })
  await new Promise<void>((resolve, reject) => {
    const deadline = setTimeout(() => socket.destroy(new Error('timeout')), TIMEOUT_MS)
    socket.once('secureConnect', resolve).once('error', reject)
    socket.once('close', () => clearTimeout(deadline))
    socket.once('secureConnect', () => clearTimeout(deadline))
  })
  if (socket.alpnProtocol === 'h2')
    return openHttp2(request, http2.connect(url.origin, { createConnection: () => socket }))
  socket.destroy()
  return openHttp1(request)
}

async function openHttp2(request: StreamRequest, session: ClientHttp2Session): Promise<StreamConnection> {
  const path = request.url.pathname + request.url.search
  const stream = session.request({ ':method': 'GET', ':path': path, ...request.headers }, { endStream: true })
  const headers = await new Promise<IncomingHttpHeaders & { ':status'?: number }>((resolve, reject) => {
    const deadline = setTimeout(() => session.destroy(new Error('timeout')), TIMEOUT_MS)
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
        answer.once('error', reject)
        answer.once('response', (head) => resolve(head[':status'] ?? 0))
        answer.resume()
      }),
    close: () => session.destroy(),
  }
}

async function openHttp1({ url, headers, ca }: StreamRequest): Promise<StreamConnection> {
  const { request } = url.protocol === 'http:' ? http : https
  const options = { agent: false as const, ...(ca === undefined ? {} : { ca }), ALPNProtocols: ['http/1.1'] }
  const call = (method: string, sent: Readonly<Record<string, string>>) =>
    new Promise<http.IncomingMessage>((resolve, reject) => {
      const asked = request(url, { ...options, method, headers: sent, timeout: TIMEOUT_MS }, (response) => {
        asked.setTimeout(0)
        resolve(response)
      })
      asked.once('timeout', () => asked.destroy(new Error('timeout')))
      asked.once('error', reject).end()
    })
  const body = await call('GET', headers)
  return {
    protocol: 'HTTP/1.1',
    status: body.statusCode ?? 0,
    headers: body.headers,
    body,
    async send(method, more) {
      const answer = await call(method, { 'content-length': '0', ...more })
      answer.resume()
      return answer.statusCode ?? 0
    },
    close: () => body.destroy(),
  }
}
