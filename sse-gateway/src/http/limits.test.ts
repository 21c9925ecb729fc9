import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { Drain } from '@hallpass/service-kit'
import { afterEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import { type Field, headerFrames, ping, preface, type RawClient, rawClient } from '../testing/raw-client.ts'
import type { Exchange } from './exchange/index.ts'
import { Listener } from './listener.ts'

const gateway = useGateway()

describe('a connection that does nothing useful', () => {
  /** Each test expects one of these, so that no other can explain what it sees. */
  const LONG = 60_000
  const SHORT = 300
  const long = {
    handshakeMs: LONG,
    headersTimeoutMs: LONG,
    requestTimeoutMs: LONG,
    keepAliveMs: LONG,
    idleMs: LONG,
    checkMs: 50,
  }
  let drain: Drain<Exchange>
  let client: RawClient | undefined

  async function listen(limits: Partial<typeof long>): Promise<number> {
    const read = (name: string) => readFile(join(gateway.stateFolder, 'certificates', name))
    const tls = { cert: await read('localhost.pem'), key: await read('localhost-key.pem') }
    drain = new Drain<Exchange>((exchange) => exchange.askToLeave())
    const answer = (exchange: Exchange) => {
      if (exchange.path === '/stream') exchange.openStream({ 'content-type': 'text/plain' })
      else if (exchange.path === '/body') exchange.readBody(10).catch(() => {})
      else exchange.answer(204, {})
    }
    return new Listener(tls, drain, answer, { ...long, ...limits }).start(0, '127.0.0.1')
  }
  const stop = (deadlineMs = 100) => drain.run({ delayMs: undefined, deadlineMs, onClosing: () => {} })
  afterEach(async () => {
    client?.destroy()
    await stop()
  })

  async function connect(limits: Partial<typeof long>, protocol: 'h2' | 'http/1.1', stubborn = false) {
    client = await rawClient(await listen(limits), gateway.ca, protocol, { stubborn })
    return client
  }
  /** Writes the same again and again until the connection is closed; resolves to how long that took. */
  async function drip(to: RawClient, byte: Buffer | string, startedAt = performance.now()): Promise<number> {
    await gateway.until(() => {
      to.write(byte)
      return to.closed()
    })
    return performance.now() - startedAt
  }
  const GET = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'
  const get: Field[] = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'localhost'],
    [':path', '/'],
  ]

  it.each([
    ['sends nothing', ''],
    ['sends only the beginning of its handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc'],
  ])('is closed if it %s', async (_what, bytes) => {
    const socket = net.connect(await listen({ handshakeMs: SHORT }), '127.0.0.1')
    const startedAt = performance.now()
    socket.on('error', () => {})
    socket.write(Buffer.from(bytes, 'latin1'))
    socket.resume()
    await once(socket, 'close')
    expect(performance.now() - startedAt).toBeGreaterThan(SHORT - 50)
  })

  it('is closed if it sends nothing after the handshake, over HTTP/1.1', async () => {
    const silent = await connect({ headersTimeoutMs: SHORT }, 'http/1.1')
    await gateway.until(silent.closed)
    expect(silent.text()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('is closed if it sends nothing after the handshake, over HTTP/2', async () => {
    const silent = await connect({ headersTimeoutMs: SHORT }, 'h2')
    await gateway.until(silent.closed)
  })

  it('is cut if its headers drip', async () => {
    const dripping = await connect({ headersTimeoutMs: SHORT }, 'http/1.1')
    dripping.write('GET / HTTP/1.1\r\nhost: localhost\r\nx: ')
    expect(await drip(dripping, 'x')).toBeGreaterThan(SHORT - 50)
    expect(dripping.text()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('is cut if the headers of a later request drip', async () => {
    const dripping = await connect({ headersTimeoutMs: SHORT }, 'http/1.1')
    dripping.write(GET)
    await gateway.until(() => dripping.text().includes('204'))
    dripping.write('GET / HTTP/1.1\r\nhost: localhost\r\nx: ')
    await drip(dripping, 'x')
    expect(dripping.text()).toContain('HTTP/1.1 408 ')
  })

  it('is answered 408 if the body of its request drips', async () => {
    const dripping = await connect({ headersTimeoutMs: SHORT, requestTimeoutMs: SHORT }, 'http/1.1')
    dripping.write('POST /body HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999\r\n\r\n')
    await gateway.until(dripping.closed)
    expect(dripping.text()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('is closed if it is idle, over HTTP/1.1', async () => {
    const idle = await connect({ keepAliveMs: SHORT }, 'http/1.1')
    idle.write(GET)
    await gateway.until(idle.closed)
    expect(idle.text()).toMatch(/^HTTP\/1\.1 204 /)
  })

  it('is closed if it is idle over HTTP/2, also while the headers of a request drip', async () => {
    const idle = await connect({ idleMs: SHORT }, 'h2')
    idle.write(preface)
    idle.write(headerFrames(get))
    await gateway.until(() => idle.text().length > 50)
    idle.write(headerFrames(get, { stream: 3, whole: false }))
    await gateway.until(idle.closed)
  })

  it('is cut over HTTP/2 if the client does not close its side', async () => {
    const idle = await connect({ idleMs: SHORT }, 'h2', true)
    idle.write(preface)
    await drip(idle, ping)
  })

  it('does not keep the listener open, although the client does not close its side', async () => {
    const idle = await connect({}, 'h2', true)
    idle.write(preface)
    await gateway.until(() => idle.text() !== '')
    await stop()
  })

  it.each(['h2', 'http/1.1'] as const)('is not cut over %s while it has an open stream', async (protocol) => {
    const limits = { headersTimeoutMs: SHORT, requestTimeoutMs: SHORT, keepAliveMs: SHORT, idleMs: SHORT }
    const reading = await connect(limits, protocol)
    if (protocol === 'h2') {
      reading.write(preface)
      reading.write(headerFrames(get.map(([name, value]) => [name, name === ':path' ? '/stream' : value])))
    } else reading.write('GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await gateway.until(() => reading.text().length > 50)
    await new Promise((resolve) => setTimeout(resolve, 4 * SHORT))
    expect(reading.closed()).toBe(false)
  })
})
