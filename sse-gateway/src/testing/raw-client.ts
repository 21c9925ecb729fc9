import { once } from 'node:events'
import { type ConnectionOptions, connect } from 'node:tls'

export interface RawClient {
  /** What the server has sent, as Latin-1. */
  readonly text: () => string
  /** Whether the connection is closed, for both sides. */
  readonly closed: () => boolean
  readonly write: (bytes: Buffer | string) => void
  readonly destroy: () => void
}

/**
 * Connects over TLS and sends only what it is told to.
 * @param stubborn never closes its own side
 */
export async function rawClient(
  port: number | string,
  ca: string,
  protocol: 'h2' | 'http/1.1',
  { stubborn = false } = {},
): Promise<RawClient> {
  const options: ConnectionOptions & { allowHalfOpen: boolean } = {
    port: Number(port),
    host: 'localhost',
    ca,
    ALPNProtocols: [protocol],
    allowHalfOpen: stubborn,
  }
  const socket = connect(options)
  let text = ''
  let closed = false
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('close', () => {
    closed = true
  })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return {
    text: () => text,
    closed: () => closed,
    write: (bytes) => void (socket.writable && socket.write(bytes)),
    destroy: () => socket.destroy(),
  }
}

export const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION] = [
  0x0, 0x1, 0x3, 0x4, 0x6, 0x9,
] as const
const [ACK, END_STREAM, END_HEADERS] = [0x1, 0x1, 0x4]

/** Returns a frame of HTTP/2 (RFC 9113 §4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export type Field = readonly [name: string, value: string]

/** What begins an HTTP/2 connection; it acknowledges no settings of the server. */
export const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0)])

/** Returns a request's HEADERS and CONTINUATION frames, of at most `frameBytes`; `whole` ends the headers. */
export function headerFrames(
  fields: readonly Field[],
  { stream = 1, frameBytes = 16_384, whole = true, endStream = true } = {},
): Buffer {
  const block = Buffer.concat(fields.flat().map(literal).map(withRepresentation))
  const frames: Buffer[] = []
  for (let at = 0; at < block.length; at += frameBytes) {
    const last = whole && at + frameBytes >= block.length
    const flags = (last ? END_HEADERS : 0) | (at === 0 && endStream ? END_STREAM : 0)
    frames.push(frame(at === 0 ? HEADERS : CONTINUATION, flags, stream, block.subarray(at, at + frameBytes)))
  }
  return Buffer.concat(frames)
}

export const settingsAcknowledgment: Buffer = frame(SETTINGS, ACK, 0)

export const dataFrame = (data: string, { stream = 1, endStream = true } = {}): Buffer =>
  frame(DATA, endStream ? END_STREAM : 0, stream, Buffer.from(data))

export const ping: Buffer = frame(PING, 0, 0, Buffer.alloc(8))

/** A literal field without indexing (RFC 7541 §6.2.2) is a zero, its name and its value. */
const withRepresentation = (text: Buffer, index: number) =>
  index % 2 === 0 ? Buffer.concat([Buffer.of(0), text]) : text

/** Encodes a string without Huffman coding (RFC 7541 §5.2). */
function literal(text: string): Buffer {
  const length: number[] = []
  let rest = text.length
  if (rest < 127) length.push(rest)
  else {
    length.push(127)
    for (rest -= 127; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128)
    length.push(rest)
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(text)])
}

export interface Frame {
  readonly type: number
  readonly stream: number
  /** Whether it is the last of its stream. */
  readonly last: boolean
  readonly payload: string
}

/** Parses the whole frames of what {@link RawClient.text} returns. */
export function framesOf(text: string): Frame[] {
  const bytes = Buffer.from(text, 'latin1')
  const frames: Frame[] = []
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    const type = bytes.readUInt8(at + 3)
    const endsStream = (type === DATA || type === HEADERS) && (bytes.readUInt8(at + 4) & END_STREAM) !== 0
    frames.push({
      type,
      stream: bytes.readUInt32BE(at + 5),
      last: endsStream || type === RST_STREAM,
      payload: bytes.toString('latin1', at + 9, end),
    })
    at = end
  }
  return frames
}
