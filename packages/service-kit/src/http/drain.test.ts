import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { afterEach, describe, expect, it } from '@jest/globals'
import { silentLog } from '../observation/log.ts'
import { developmentConfig, keepAliveClients } from '../testing.ts'
import { type HttpService, type HttpServiceOptions, httpService, type Listener } from './http-service.ts'

let started: HttpService | undefined
afterEach(() => started?.stop())

async function start(
  routes: HttpServiceOptions['routes'],
  listener: Partial<Listener> = {},
  options: Partial<HttpServiceOptions> = {},
): Promise<{ url: string; service: HttpService }> {
  const service = httpService({
    name: 'draining',
    log: silentLog,
    config: developmentConfig,
    listeners: [{ name: 'it', host: '127.0.0.1', port: 0, ...listener }],
    routes,
    ...options,
  })
  started = service
  return { url: (await service.start()).it as string, service }
}

const hello: HttpServiceOptions['routes'] = (app) =>
  app.get('/', (_request, response) => response.end('hello'))

/** Sends one request over a connection of the agent. */
const get = (url: string, agent: http.Agent) =>
  new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get(url, { agent }, (answer) => answer.resume().on('end', () => resolve(answer))).on('error', reject)
  })

describe('a stopping service', () => {
  it('closes an upgraded connection at the deadline, and only then', async () => {
    const { url, service } = await start(
      hello,
      {},
      {
        drainDeadlineMs: 100,
        onUpgrade: (_request, socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
      },
    )
    const client = connect(Number(new URL(url).port), '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await once(client, 'data')
    const closed = once(client, 'close')
    const began = performance.now()
    await service.stop()
    await closed
    expect(performance.now() - began).toBeGreaterThan(90)
  })

  it.each(['http', 'https'])(
    'fails no request of clients with keep-alive connections (%s)',
    async (scheme) => {
      const folder = await mkdtemp(join(tmpdir(), 'connections-'))
      const { ca, cert, key } = await ensureDevelopmentCertificates(folder).then(async (files) => {
        const { readFile } = await import('node:fs/promises')
        const read = (file: string) => readFile(file, 'utf8')
        return {
          ca: await read(files.caFile),
          cert: await read(files.certFile),
          key: await read(files.keyFile),
        }
      })
      for (const delayMs of [undefined, 0, 50, 250]) {
        const { url, service } = await start(hello, scheme === 'https' ? { tls: () => ({ cert, key }) } : {})
        const clients = keepAliveClients(url, { ca })
        await until(() => clients.outcome.answered > 64)
        await service.stop(delayMs)
        const { answered, failures, ...ends } = await clients.done
        expect(answered).toBeGreaterThan(64)
        // Otherwise an idle connection is closed immediately, and a request may already be on its way.
        if (delayMs !== undefined) expect({ ...ends, failures }).toMatchObject({ failures: [], refused: 16 })
        if (delayMs !== undefined) expect(ends.askedToLeave).toBeGreaterThanOrEqual(16)
      }
      await rm(folder, { recursive: true })
    },
  )

  it('asks connected clients to leave, is not ready, and accepts connections during the delay', async () => {
    const { url, service } = await start(hello)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    expect((await get(url, agent)).headers.connection).toBe('keep-alive')
    const stopped = service.stop(300)
    expect((await get(url, agent)).headers.connection).toBe('close')
    const ready = await fetch(`${url}/readyz`)
    expect(ready.status).toBe(503)
    expect(await ready.json()).toEqual({ status: 'not ready', failed: { service: 'stopping' } })
    await stopped
    await expect(get(url, agent)).rejects.toThrow('ECONNREFUSED')
  })

  it('asks clients to leave whose request was already in flight', async () => {
    let answer: () => void = () => {}
    const { url, service } = await start((app) =>
      app.get('/', (_request, response) => {
        answer = () => response.end('late')
      }),
    )
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const late = get(url, agent)
    await until(() => answer.length === 0 && String(answer).includes('late'))
    const stopped = service.stop()
    answer()
    expect((await late).headers.connection).toBe('close')
    await stopped
  })

  it('does not wait for a client whose response had begun and then ended', async () => {
    let end: () => void = () => {}
    const { url, service } = await start((app) =>
      app.get('/', (_request, response) => {
        response.write('begun ')
        end = () => response.end('ended')
      }),
    )
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const answer = get(url, agent)
    await until(() => String(end).includes('ended'))
    const began = performance.now()
    const stopped = service.stop()
    setTimeout(end, 50)
    await Promise.all([answer, stopped])
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('calls onDrain once it accepts no more connections', async () => {
    let stream: http.ServerResponse | undefined
    const { url, service } = await start(
      (app) =>
        app.get('/', (_request, response) => {
          response.write('event')
          stream = response
        }),
      {},
      {
        onDrain: async () => {
          const { port } = new URL(url)
          const socket = connect(Number(port), '127.0.0.1')
          const refused = await new Promise((resolve) =>
            socket.on('error', () => resolve('refused')).on('connect', () => resolve('accepted')),
          )
          stream?.end(String(refused))
        },
      },
    )
    const response = await fetch(url)
    const stopped = service.stop(100)
    expect(await response.text()).toBe('eventrefused')
    await stopped
  })
})

async function until(condition: () => boolean) {
  while (!condition()) await pause(5)
}
