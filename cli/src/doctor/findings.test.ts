import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import http, { type RequestListener } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { findings } from './findings.ts'

const ready: RequestListener = (_request, response) => response.end('{"status":"ready"}')

describe('findings', () => {
  let folder: string
  const stops: (() => unknown)[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-doctor-'))
  })
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function look(processes: Parameters<typeof findings>[1] = [], now = Date.now()) {
    const found: string[] = []
    const terminal = {
      env: { STATE_FOLDER: folder },
      stdin: Readable.from([]),
      print: () => {},
      note: () => {},
      style: (_style: unknown, text: string) => text,
      clock: () => now,
      interrupted: new AbortController().signal,
    }
    for await (const { state, what, remedy } of findings(terminal, processes))
      found.push(`${state}: ${what}${remedy === undefined ? '' : ` => ${remedy}`}`)
    return found
  }

  async function serve(listener: RequestListener) {
    const server = http.createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    stops.push(() => server.close())
    return `http://localhost:${(server.address() as AddressInfo).port}`
  }
  const service = (url: string, more = {}) => ({
    name: 'service',
    readyz: `${url}/readyz`,
    urls: { PORT: url, ...more },
  })

  it('finds no problem in a fresh state and with ready services', async () => {
    await ensureDevelopmentCertificates(folder)
    const found = await look([service(await serve(ready))])
    expect(found).toEqual([
      `good: Node ${process.versions.node}`,
      `good: The state folder ${folder} is owner-only`,
      'good: 5 state files are readable and valid: 2 private keys, 3 certificates',
      expect.stringMatching(/^good: The development certificates are valid until \d{4}-\d\d-\d\d$/),
      'good: service is ready',
    ])
  })

  it('reports a missing state folder and services that do not run', async () => {
    const free = net.createServer().listen(0)
    const { port } = free.address() as AddressInfo
    await new Promise((resolve) => free.close(resolve))
    await rm(folder, { recursive: true })
    const url = `http://localhost:${port}`
    expect((await look([service(url), { ...service(url), name: 'other' }])).slice(1)).toEqual([
      `note: No state folder ${folder} yet => npm start`,
      'note: No development certificates yet => npm start',
      'note: Not running: service, other => npm start',
    ])
  })

  it('reports folders and keys that other users can read', async () => {
    const { keyFile } = await ensureDevelopmentCertificates(folder)
    await chmod(keyFile, 0o644)
    await chmod(folder, 0o755)
    const found = await look()
    expect(found).toContain(`bad: Other users can read the state folder ${folder} => chmod 700 ${folder}`)
    expect(found).toContain(`bad: Other users can read the private key ${keyFile} => chmod 600 ${keyFile}`)
  })

  it('reports certificates that expire, do not match, or are invalid', async () => {
    const { caFile, certFile } = await ensureDevelopmentCertificates(folder)
    const remedy = `rm -r ${folder}/certificates && npm start`
    const inAYear = Date.now() + 364.5 * 86_400_000
    const ends = /ca\.pem: a certificate that expires on \d{4}-\d\d-\d\d => rm -r /
    expect((await look([], inAYear)).filter((found) => ends.test(found))).toHaveLength(1)
    await writeFile(caFile, await readFile(certFile))
    expect(await look()).toContain(`bad: ${certFile}: not signed by ca.pem => ${remedy}`)
    await writeFile(certFile, 'nonsense')
    expect(await look()).toContain(`bad: ${certFile}: not a PEM key or certificate => ${remedy}`)
  })

  it('reports why a service is not ready', async () => {
    const url = await serve((_request, response) =>
      response.writeHead(503).end('{"status":"not ready","failed":{"event log":"redis is away"}}'),
    )
    expect((await look([service(url)])).at(-1)).toMatch(
      /^bad: service is not ready: event log: redis is away => curl /,
    )
  })

  it('reports another program on a port, whatever its protocol', async () => {
    const page = await serve((_request, response) => response.writeHead(404).end('<h1>Not Found</h1>'))
    expect((await look([service(page)])).at(-1)).toMatch(
      /^bad: Port \d+ of service is in use by another program \(answers 404\)/,
    )
    const raw = net.createServer((socket) =>
      socket
        .on('error', () => {})
        .end('SSH-2.0\r\n')
        .resume(),
    )
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve))
    stops.push(() => raw.close())
    const { port } = raw.address() as AddressInfo
    const taken = new RegExp(
      `^bad: Port ${port} of service is in use by another program .* => lsof -i :${port}`,
    )
    expect((await look([service(`http://localhost:${port}`)])).at(-1)).toMatch(taken)
    expect(
      (await look([service('http://localhost:2', { TCP_PORT: `tcp://localhost:${port}` })])).at(-1),
    ).toMatch(taken)
  })

  it('learns from the launcher which services hang or are stopped, and where the others listen', async () => {
    const url = await serve(ready)
    const services = [
      { name: 'b', state: 'not answering', urls: [url] },
      { name: 'c', state: 'stopped', urls: ['http://localhost:2'] },
      { name: 'd', state: 'running', urls: [url] },
    ]
    const launcher = http.createServer((_request, response) => response.end(JSON.stringify({ services })))
    await new Promise<void>((resolve) => launcher.listen(join(folder, 'suite.sock'), resolve))
    stops.push(() => launcher.close())
    const documented = { ...service('http://localhost:2'), name: 'd' }
    const gone = { ...service('http://localhost:2'), name: 'c' }
    const found = await look([{ ...service(url), name: 'b' }, gone, documented])
    expect(found.slice(-3)).toEqual([
      'bad: b does not answer => npx hallpass service restart b',
      'good: d is ready',
      'note: Not running: c => npx hallpass service start c',
    ])
  })

  it('reports a wrong clock', async () => {
    const found = await look([service(await serve(ready))], Date.now() + 60_000)
    expect(found.at(-1)).toMatch(
      /^bad: The clock of service is (59|60|61) s behind this one: .* => timedatectl set-ntp true/,
    )
  })
})
