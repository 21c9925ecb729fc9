import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import http2 from 'node:http2'
import net from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { Drain } from '@hallpass/service-kit'
import { expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Exchange } from './exchange/index.ts'
import { Listener } from './listener.ts'

const gateway = useGateway()

function handshake(protocols: readonly string[]): Promise<{ protocol: string | false; serial: string }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(gateway.url)
    const socket = connect(
      { port: Number(port), host: 'localhost', ca: gateway.ca, ALPNProtocols: [...protocols] },
      () => {
        resolve({ protocol: socket.alpnProtocol ?? false, serial: socket.getPeerCertificate().serialNumber })
        socket.destroy()
      },
    )
    socket.on('error', reject)
  })
}

it('prefers HTTP/2, falls back to HTTP/1.1, and handles each request once', async () => {
  await gateway.start()
  expect((await handshake(['h2', 'http/1.1'])).protocol).toBe('h2')
  expect((await handshake(['http/1.1'])).protocol).toBe('http/1.1')
  expect((await handshake([])).protocol).toBe(false)
  for (const protocol of ['h2', 'http/1.1'] as const) await gateway.request(`/${protocol}`, {}, protocol)
  await gateway.until(() => gateway.log.split('"msg":"request"').length === 3)
})

it('uses a new certificate for new connections when the file is replaced', async () => {
  await gateway.start()
  const [first, stream] = [await handshake(['h2']), await gateway.open(await gateway.token())]
  // Issued by the same CA.
  await rm(join(gateway.stateFolder, 'certificates/localhost.pem'))
  await ensureDevelopmentCertificates(gateway.stateFolder)
  await gateway.until(async () => (await handshake(['h2'])).serial !== first.serial)
  expect(stream.ended).toBe('no')
})

it('keeps its certificate if the new one cannot be read', async () => {
  await gateway.start()
  const first = await handshake(['h2'])
  const file = join(gateway.stateFolder, 'certificates/localhost.pem')
  const good = await readFile(file, 'utf8')
  await writeFile(file, 'half a file')
  await gateway.until(() => gateway.log.includes('certificate could not be reloaded'))
  expect(await handshake(['h2'])).toEqual(first)
  await writeFile(file, good)
})

it('also sends GOAWAY to a client that was in its handshake when the shutdown began', async () => {
  const read = (name: string) => readFile(join(gateway.stateFolder, 'certificates', name))
  const tls = { cert: await read('localhost.pem'), key: await read('localhost-key.pem') }
  const draining = new Drain<Exchange>((exchange) => exchange.askToLeave())
  const listener = new Listener(tls, draining, (exchange) => exchange.answer(204, {}))
  const port = await listener.start(0, '127.0.0.1')
  const tcp = net.connect(port, '127.0.0.1')
  await once(tcp, 'connect')
  const drained = draining.run({ delayMs: 50, deadlineMs: 2_000, onClosing: () => {} })
  const refused = () =>
    new Promise<boolean>((resolve) => {
      const probe = net.connect(port, '127.0.0.1', () => {
        probe.destroy()
        resolve(false)
      })
      probe.on('error', () => resolve(true))
    })
  await gateway.until(refused)

  const ca = await read('ca.pem')
  const session = http2.connect('https://localhost', {
    createConnection: () => connect({ socket: tcp, host: 'localhost', ca, ALPNProtocols: ['h2'] }),
  })
  const asked = once(session, 'goaway')
  const stream = session.request({ ':path': '/' })
  const [headers] = await once(stream, 'response')
  expect(headers).toMatchObject({ ':status': 204 })
  await asked
  await drained
})
