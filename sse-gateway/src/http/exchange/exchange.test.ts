import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../../testing/gateway.ts'
import {
  DATA,
  dataFrame,
  type Field,
  framesOf,
  headerFrames,
  PING,
  ping,
  preface,
  type RawClient,
  RST_STREAM,
  rawClient,
  settingsAcknowledgment,
} from '../../testing/raw-client.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

let client: RawClient
afterEach(() => client.destroy())

/** Sends these bytes on a new connection; resolves to the answer when the connection is closed. */
async function http1(head: string): Promise<string> {
  client = await rawClient(new URL(gateway.url).port, gateway.ca, 'http/1.1')
  client.write(`${head}connection: close\r\n\r\n`)
  await gateway.until(client.closed)
  return client.text()
}

const request: Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/healthz'],
]
const authority: Field = [':authority', 'localhost']
const host: Field = ['host', 'localhost']

/** Sends a request on a new connection; resolves to its answer, or to RST_STREAM and its code. */
async function http2(fields: readonly Field[], { acknowledge = false, frameBytes = 16_384 } = {}) {
  client = await rawClient(new URL(gateway.url).port, gateway.ca, 'h2')
  client.write(preface)
  if (acknowledge) {
    await gateway.until(() => client.text() !== '')
    client.write(settingsAcknowledgment)
  }
  client.write(headerFrames(fields, { frameBytes }))
  const frames = () => framesOf(client.text()).filter(({ stream }) => stream === 1)
  await gateway.until(() => frames().some(({ last }) => last))
  const reset = frames().find(({ type }) => type === RST_STREAM)
  if (reset) return `reset ${reset.payload.charCodeAt(3)}`
  return frames()
    .filter(({ type }) => type === DATA)
    .map(({ payload }) => payload)
    .join('')
}

describe('the host of a request', () => {
  const GET = 'GET /healthz HTTP/1.1\r\n'
  const MISSING = '{"error":{"code":"missing_host","message":"A request must have a Host header."}}'
  const TWO = '{"error":{"code":"two_hosts","message":"A request must have exactly one Host header."}}'

  it('is required over HTTP/1.1, also if the target names one (RFC 9112 §3.2)', async () => {
    for (const target of ['/healthz', 'https://localhost/healthz']) {
      const answer = await http1(`GET ${target} HTTP/1.1\r\n`)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain(MISSING)
    }
  })

  it('is required over HTTP/1.0 only in development mode', async () => {
    expect(await http1('GET /healthz HTTP/1.0\r\n')).toContain('"code":"foreign_host"')
    await gateway.start({ HOST: '0.0.0.0', ALLOWED_HOSTS: '*' })
    expect(await http1('GET /healthz HTTP/1.0\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('is one, however many fields are between two of them', async () => {
    for (const count of [0, 2_500]) {
      const answer = await http1(`${GET}host: localhost\r\n${'a:\r\n'.repeat(count)}host: localhost\r\n`)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain(TWO)
    }
  })

  it('is the authority or the Host field over HTTP/2, and one of them is required', async () => {
    expect(await http2([...request, authority])).toBe('{"status":"ok"}')
    expect(await http2([...request, host])).toBe('{"status":"ok"}')
    expect(await http2([...request, authority, host])).toBe('{"status":"ok"}')
    expect(await http2([...request, authority, ['host', 'other']])).toBe(TWO)
    // nghttp2 itself.
    expect(await http2(request)).toBe('reset 1')
    expect(await http2([...request, host, host])).toBe('reset 1')
  })
})

describe('a header list over HTTP/2', () => {
  const LIMIT = 16 * 1024
  const size = (fields: readonly Field[]) =>
    fields.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
  const base = [...request, authority]
  const ofSize = (bytes: number): Field[] => [...base, ['x', 'y'.repeat(bytes - size(base) - 33)]]
  const TOO_LARGE =
    '{"error":{"code":"headers_too_large","message":"The header fields are larger than 16384 bytes."}}'

  it.each([false, true])('can have the announced size (acknowledged: %s)', async (acknowledge) => {
    expect(await http2(ofSize(LIMIT), { acknowledge })).toBe('{"status":"ok"}')
  })

  it('is 431 above it, although the client has not read the limit', async () => {
    expect(await http2(ofSize(LIMIT + 1))).toBe(TOO_LARGE)
    expect(await http2(ofSize(LIMIT + 1), { frameBytes: 4_000 })).toBe(TOO_LARGE)
  })

  it('arrives in at most eight CONTINUATION frames', async () => {
    expect(await http2(ofSize(LIMIT), { frameBytes: 2_000 })).toBe('{"status":"ok"}')
    client.destroy()
    client = await rawClient(new URL(gateway.url).port, gateway.ca, 'h2')
    client.write(preface)
    client.write(headerFrames(ofSize(LIMIT), { frameBytes: 1_000 }))
    await gateway.until(client.closed)
  })

  it('is reset if the client knows the limit', async () => {
    expect(await http2(ofSize(LIMIT + 1), { acknowledge: true })).toBe('reset 11')
  })

  it('has at most 128 fields', async () => {
    const tiny = (count: number) => [...base, ...Array.from({ length: count }, (): Field => ['a', ''])]
    expect(await http2(tiny(124))).toBe('{"status":"ok"}')
    expect(await http2(tiny(125))).toBe('reset 11')
  })
})

describe('a request over HTTP/2 whose body is not read', () => {
  const post: Field[] = [[':method', 'POST'], ...request.slice(1), authority]

  /** Sends a request, answered before its body is read; resolves to the types of the frames of its stream. */
  async function framesAfter(fields: readonly Field[], body: Buffer) {
    client = await rawClient(new URL(gateway.url).port, gateway.ca, 'h2')
    client.write(preface)
    client.write(Buffer.concat([headerFrames(fields, { endStream: false }), body]))
    const frames = () => framesOf(client.text()).filter(({ stream }) => stream === 1)
    await gateway.until(() => frames().some(({ type, last }) => type !== RST_STREAM && last))
    return frames
  }

  it('ends its stream although the body never ends, also if it has no octets', async () => {
    for (const more of [[], [['content-length', '0']]] as Field[][]) {
      const frames = await framesAfter([...post, ...more], Buffer.alloc(0))
      await gateway.until(() => frames().at(-1)?.type === RST_STREAM)
      expect(frames().at(-1)?.payload).toBe('\0\0\0\0')
      client.destroy()
    }
  })

  it('is not reset if it has ended in an empty DATA frame', async () => {
    for (const fields of [post, [...request, authority]]) {
      const frames = await framesAfter(fields, dataFrame(''))
      client.write(ping)
      await gateway.until(() => framesOf(client.text()).some(({ type }) => type === PING))
      expect(frames().map(({ type }) => type)).not.toContain(RST_STREAM)
      client.destroy()
    }
  })
})
