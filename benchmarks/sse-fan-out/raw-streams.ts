import { readFileSync } from 'node:fs'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'

export interface RawStreamsOptions {
  readonly url: string
  /** Each connection uses the next token; if the list is empty, none. */
  readonly tokens: readonly string[]
  readonly caFile: string
  readonly streams: number
  /** 0: HTTP/1.1, one stream per connection. Else HTTP/2 with this many streams per connection. */
  readonly streamsPerConnection: number
  /** Called with the bytes of a stream's body; over HTTP/1.1, including the chunk framing. */
  readonly onBytes: (stream: number, bytes: Buffer) => void
  /** Called when an HTTP/2 stream ends with END_STREAM. Absent: the streams must stay open. */
  readonly onEnd?: (stream: number) => void
}

/** Concurrent handshakes; more would only make each slower. */
const CONNECTING = 32
const MAX_WINDOW = 2 ** 31 - 1

/**
 * Opens streams over raw TLS with minimal work per event, so that the server is measured and not the client. Resolves
 * when each stream has been answered with 200.
 */
export async function openRawStreams(options: RawStreamsOptions): Promise<{ close: () => void }> {
  const { streams, streamsPerConnection } = options
  const url = new URL(options.url)
  const http2 = streamsPerConnection > 0
  const secureContext = createSecureContext({ ca: readFileSync(options.caFile) })
  const sockets: TLSSocket[] = []
  const perConnection = http2 ? streamsPerConnection : 1
  const connections = Math.ceil(streams / perConnection)
  let next = 0

  const connectOne = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const first = index * perConnection
      const count = Math.min(perConnection, streams - first)
      const socket = connect({
        host: url.hostname,
        port: Number(url.port),
        servername: 'localhost',
        secureContext,
        ALPNProtocols: [http2 ? 'h2' : 'http/1.1'],
      })
      sockets.push(socket)
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('A server closed a connection.')))
      const token = options.tokens[index % options.tokens.length]
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const open = { first, count, url, options, headers, socket, opened: resolve, failed: reject }
      if (http2) readHttp2(open)
      else readHttp1(open)
    })

  await Promise.all(
    Array.from({ length: CONNECTING }, async () => {
      while (next < connections) {
        const index = next
        next += 1
        await connectOne(index)
      }
    }),
  )
  return {
    close: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}

interface Opening {
  readonly first: number
  readonly count: number
  readonly url: URL
  readonly options: RawStreamsOptions
  readonly headers: Readonly<Record<string, string>>
  readonly socket: TLSSocket
  readonly opened: () => void
  readonly failed: (error: Error) => void
}

function readHttp1({ first, url, options, headers, socket, opened, failed }: Opening) {
  const lines = Object.entries({ host: url.host, accept: 'text/event-stream', ...headers })
  socket.write(
    `GET ${url.pathname} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  )
  let head: Buffer | undefined = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    if (!head) return options.onBytes(first, chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    if (!head.toString('latin1', 0, 12).endsWith('200'))
      return failed(new Error(head.toString('latin1', 0, 200)))
    const rest = head.subarray(end + 4)
    head = undefined
    opened()
    if (rest.length > 0) options.onBytes(first, rest)
  })
}

const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE] = [0, 1, 3, 4, 6, 7, 8]
const FRAME_HEAD = 9
/** `:status: 200` of the static table (RFC 7541, appendix A). */
const STATUS_200 = 0x88

function readHttp2({ first, count, url, options, headers, socket, opened, failed }: Opening) {
  const block = headerBlock(url, headers)
  const initialWindow = Buffer.alloc(6)
  initialWindow.writeUInt16BE(4, 0)
  initialWindow.writeUInt32BE(MAX_WINDOW, 2)
  const connectionWindow = Buffer.alloc(4)
  connectionWindow.writeUInt32BE(MAX_WINDOW - 65_535, 0)
  const requests = Array.from({ length: count }, (_, index) => frame(HEADERS, 0x5, index * 2 + 1, block))
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(SETTINGS, 0, 0, initialWindow),
      frame(WINDOW_UPDATE, 0, 0, connectionWindow),
      ...requests,
    ]),
  )
  let rest: Buffer | undefined
  let answered = 0
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest ? Buffer.concat([rest, chunk]) : chunk
    let at = 0
    while (bytes.length - at >= FRAME_HEAD) {
      const length = bytes.readUIntBE(at, 3)
      if (bytes.length - at - FRAME_HEAD < length) break
      const type = bytes[at + 3]
      const flags = bytes[at + 4] as number
      const stream = bytes.readUInt32BE(at + 5)
      const payload = bytes.subarray(at + FRAME_HEAD, at + FRAME_HEAD + length)
      at += FRAME_HEAD + length
      if (type === DATA) {
        options.onBytes(first + (stream - 1) / 2, payload)
        if (flags & 1) options.onEnd?.(first + (stream - 1) / 2)
      } else if (type === HEADERS) {
        if (!payload.includes(STATUS_200) || flags & 1)
          return failed(new Error('A stream was not answered with 200.'))
        answered += 1
        if (answered === count) opened()
      } else if (type === SETTINGS && !(flags & 1)) socket.write(frame(SETTINGS, 1, 0, Buffer.alloc(0)))
      else if (type === PING && !(flags & 1)) socket.write(frame(PING, 1, 0, payload))
      else if (type === RST_STREAM || type === GOAWAY) failed(new Error('A server reset a stream.'))
    }
    rest = at === bytes.length ? undefined : Buffer.from(bytes.subarray(at))
  })
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Encodes headers with HPACK without a dynamic table (RFC 7541 §6): literal names and values. */
function headerBlock(url: URL, headers: Readonly<Record<string, string>>): Buffer {
  const indexed = Buffer.from([0x82, 0x87]) // :method GET, :scheme https
  const fields = Object.entries({
    ':path': url.pathname,
    ':authority': url.host,
    accept: 'text/event-stream',
    ...headers,
  })
  return Buffer.concat([
    indexed,
    ...fields.flatMap(([name, value]) => [Buffer.from([0x10]), literal(name), literal(value)]),
  ])
}

function literal(text: string): Buffer {
  const { length } = text
  if (length < 127) return Buffer.concat([Buffer.from([length]), Buffer.from(text, 'latin1')])
  const bytes = [127]
  let rest = length - 127
  while (rest >= 128) {
    bytes.push((rest & 127) | 128)
    rest >>= 7
  }
  return Buffer.concat([Buffer.from([...bytes, rest]), Buffer.from(text, 'latin1')])
}
