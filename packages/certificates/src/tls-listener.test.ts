import { once } from 'node:events'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls, { type TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ensureDevelopmentCertificates } from './development.ts'
import { httpListeners, type TlsListenerOptions, tlsListener } from './tls-listener.ts'

let folder: string
let server: https.Server | undefined
const lines: string[] = []
const log = {
  info: (text: string) => void lines.push(text),
  warn: (_: unknown, text: string) => void lines.push(text),
}
const pem = (name: string, of = folder) => join(of, 'certificates', name)
const read = (name: string, of = folder) => readFile(pem(name, of), 'utf8')

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-listener-'))
  lines.length = 0
})
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
  server = undefined
  // A renewal that has begun may still create files.
  await rm(folder, { recursive: true, maxRetries: 5 })
})

const provided = () => ({
  certFile: pem('localhost.pem'),
  keyFile: pem('localhost-key.pem'),
  selfMade: false,
})

async function start(more: Partial<TlsListenerOptions> = {}): Promise<number> {
  const own = { stateFolder: folder, tls: { ...provided(), selfMade: true }, certificatePollMs: 10 }
  const listener = tlsListener({ ...own, ...more }, log)
  server = https.createServer(await listener.tls(), (request, response) => {
    const { authorized, getPeerCertificate } = request.socket as TLSSocket
    const certificate = getPeerCertificate.call(request.socket)
    response.end(JSON.stringify({ authorized, has: Object.keys(certificate).length > 0 }))
  })
  listener.prepare(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function connect(port: number, more: tls.ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: await read('ca.pem'),
    ...more,
  })
  await once(socket, 'secureConnect')
  return socket
}

async function serialOf(port: number): Promise<string> {
  const socket = await connect(port)
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

async function until(condition: () => boolean | Promise<boolean>) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

describe('tlsListener', () => {
  it('makes its certificate in development mode', async () => {
    expect(await serialOf(await start())).toMatch(/^[0-9A-F]+$/)
  })

  it('serves a renewed certificate to new connections and drops no open one', async () => {
    const port = await start()
    const first = await serialOf(port)
    const open = await connect(port)
    await rm(pem('localhost.pem'))
    await ensureDevelopmentCertificates(folder)
    await until(async () => (await serialOf(port)) !== first)
    open.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(String(await once(open, 'data'))).toContain('200 OK')
    open.destroy()
  })

  it('keeps its certificate while the new one has no key yet, and then takes both', async () => {
    await ensureDevelopmentCertificates(folder)
    const port = await start({ tls: provided() })
    const first = await serialOf(port)
    const elsewhere = join(folder, 'elsewhere')
    await ensureDevelopmentCertificates(elsewhere)
    await rename(pem('localhost.pem', elsewhere), pem('localhost.pem'))
    await until(() => lines.includes('certificate could not be reloaded'))
    expect(await serialOf(port)).toBe(first)
    const ca = await read('ca.pem', elsewhere)
    lines.length = 0
    await rename(pem('localhost-key.pem', elsewhere), pem('localhost-key.pem'))
    await until(() => lines.includes('certificate reloaded'))
    ;(await connect(port, { ca })).destroy()
  })

  it('tells whether a client has a certificate of the configured CA, and accepts clients without one', async () => {
    const elsewhere = join(folder, 'elsewhere')
    await ensureDevelopmentCertificates(elsewhere)
    const port = await start({ clientCertificates: { caFile: pem('ca.pem', elsewhere), required: false } })
    const identity = async (of: string) => ({
      cert: await read('localhost.pem', of),
      key: await read('localhost-key.pem', of),
    })
    const ask = async (more: tls.ConnectionOptions) => {
      const socket = await connect(port, more)
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      const [answer] = await once(socket, 'data')
      socket.destroy()
      return JSON.parse(/\{.*\}/.exec(String(answer))?.[0] ?? '{}')
    }
    expect(await ask({})).toEqual({ authorized: false, has: false })
    expect(await ask(await identity(folder))).toEqual({ authorized: false, has: true })
    expect(await ask(await identity(elsewhere))).toEqual({ authorized: true, has: true })
  })

  it('refuses clients without a certificate where one is required', async () => {
    await ensureDevelopmentCertificates(folder)
    const port = await start({ clientCertificates: { caFile: pem('ca.pem'), required: true } })
    // In TLS 1.3 the client learns of it only with the first bytes it reads.
    const socket = await connect(port)
    const [error] = await once(socket, 'error')
    expect((error as NodeJS.ErrnoException).code).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')
  })

  it('names an unusable file at start', async () => {
    await ensureDevelopmentCertificates(folder)
    await writeFile(pem('localhost-key.pem'), 'no key')
    await expect(start({ tls: provided() })).rejects.toMatchObject({
      name: 'StateFileError',
      message: expect.stringContaining('localhost-key.pem'),
    })
  })
})

describe('httpListeners', () => {
  it('has an https listener only with a port for it', () => {
    const config = {
      stateFolder: folder,
      tls: { certFile: 'a', keyFile: 'b', selfMade: false },
      host: '127.0.0.1',
      port: 1,
    }
    expect(httpListeners({ ...config, httpsPort: undefined }, log)).toEqual([
      { name: 'http', host: '127.0.0.1', port: 1 },
    ])
    expect(httpListeners({ ...config, httpsPort: 2 }, log)).toEqual([
      { name: 'http', host: '127.0.0.1', port: 1 },
      { name: 'https', host: '127.0.0.1', port: 2, tls: expect.any(Function), prepare: expect.any(Function) },
    ])
  })
})
