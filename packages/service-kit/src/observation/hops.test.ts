import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { requireBearer } from '../http/bearer.ts'
import { httpService } from '../http/http-service.ts'
import { createPeerClient } from '../peers/peer-client.ts'
import { developmentConfig } from '../testing.ts'
import { streamHops } from './hop-stream.ts'
import { type HopEvent, publishHopsTo, shownBody, shownPath, shownToken } from './hops.ts'
import { silentLog } from './log.ts'

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const TOKEN = `${part({ alg: 'RS256', kid: 'k1' })}.${part({ sub: 'servicea', aud: 'serviceb' })}.c2lnbmF0dXJl`
const CHECKS = [{ name: 'audience', passed: false, rule: 'RFC 7519 §4.1.3' }]

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  publishHopsTo(undefined)
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

class WrongAudience extends Error {
  readonly reason = 'audience_mismatch'
  readonly checks = CHECKS
  toJSON() {
    return { name: this.name, message: this.message }
  }
}

/** Two services: a front that calls a guarded back. */
async function startPair() {
  const listeners = [{ name: 'http', host: '127.0.0.1', port: 0 }] as const
  const back = httpService({
    name: 'back',
    log: silentLog,
    config: developmentConfig,
    listeners,
    routes: (app) => {
      const verify = () => {
        throw new WrongAudience('jwt audience invalid')
      }
      app.get('/guarded', requireBearer({ realm: 'back', verify }), (_, response) => void response.send())
    },
  })
  const { http } = await back.start()
  const peer = createPeerClient({ peer: 'back', baseUrl: http as string })
  const front = httpService({
    name: 'front',
    log: silentLog,
    config: developmentConfig,
    listeners,
    routes: (app) =>
      void app.get('/', async (_, response) => {
        const answer = await peer.get('/guarded', { headers: { authorization: `Bearer ${TOKEN}` } })
        response.status(answer.status).json({})
      }),
  })
  cleanUps.push(() => back.stop())
  return front
}

describe('hop events', () => {
  it('report each request, call and verification of a watched trace, linked by their spans', async () => {
    const events: HopEvent[] = []
    publishHopsTo((event) => events.push(event))
    const { app } = await startPair()
    await supertest(app)
      .get('/')
      .set('traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
      .expect(401)
    await new Promise((resolve) => setImmediate(resolve))
    const told = (kind: string, service: string) =>
      events.find((event) => event.kind === kind && event.service === service) as HopEvent
    expect(events).toHaveLength(4)
    expect(new Set(events.map(({ traceId }) => traceId))).toEqual(new Set(['a'.repeat(32)]))
    const call = told('call', 'front')
    expect(call).toMatchObject({ peer: 'back', method: 'GET', path: '/guarded', status: 401 })
    expect(call.parentId).toBe(told('request', 'front').spanId)
    expect(told('request', 'back')).toMatchObject({ parentId: call.spanId, status: 401, path: '/guarded' })
    expect(told('verification', 'back')).toMatchObject({
      verdict: 'refused',
      reason: 'audience_mismatch',
      checks: CHECKS,
      token: { header: { kid: 'k1' }, claims: { sub: 'servicea' } },
    })
    expect(JSON.stringify(events)).not.toContain('c2lnbmF0dXJl')
  })

  it('report nothing of a trace that is not watched', async () => {
    const events: HopEvent[] = []
    publishHopsTo((event) => events.push(event))
    const { app } = await startPair()
    await supertest(app)
      .get('/')
      .set('traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`)
      .expect(401)
    expect(events).toEqual([])
  })

  it('contain the reason why a request without a token was rejected', async () => {
    const events: HopEvent[] = []
    publishHopsTo((event) => events.push(event))
    const service = httpService({
      name: 'back',
      log: silentLog,
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      shownParameters: ['fault'],
      routes: (app) => {
        const verify = () => {
          throw new WrongAudience('jwt audience invalid')
        }
        app.get('/guarded', requireBearer({ realm: 'back', verify }), (_, response) => void response.send())
      },
    })
    await supertest(service.app)
      .get('/guarded?fault=no-token&access_tok=secret')
      .set('traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
      .expect(401)
    await new Promise((resolve) => setImmediate(resolve))
    expect(events).toEqual([
      expect.objectContaining({ kind: 'request', reason: 'no_token', path: '/guarded?fault=no-token' }),
    ])
  })

  it.each([
    ['/scenario3?fault=tampered', ['fault'], '/scenario3?fault=tampered'],
    ['/scenario3?fault=tampered&password=hunter2', ['fault'], '/scenario3?fault=tampered'],
    ['/scenario3?fault=tampered', [], '/scenario3'],
    [`/scenario3?fault=${TOKEN}`, ['fault'], '/scenario3?fault=%5Btoken%5D'],
    [
      `/${'x'.repeat(300)}?fault=${'y'.repeat(300)}`,
      ['fault'],
      `/${'x'.repeat(255)}?fault=${'y'.repeat(250)}`,
    ],
    ['/a?fault=1?2', ['fault'], '/a?fault=1'],
  ])('show %s with the parameters %j as the path %s', (url, parameters, shown) =>
    expect(shownPath(url, parameters)).toBe(shown),
  )

  it('truncate bodies and remove tokens', () => {
    expect(shownBody({ token: TOKEN, aud: 'serviceb' })).toBe('{"token":"[token]","aud":"serviceb"}')
    expect(shownBody('x'.repeat(10_000))).toHaveLength(2048)
    expect(shownBody('')).toBeUndefined()
  })

  it('show the header and claims of a token', () => {
    expect(shownToken(`Bearer ${TOKEN}`)).toEqual({
      header: { alg: 'RS256', kid: 'k1' },
      claims: { sub: 'servicea', aud: 'serviceb' },
    })
  })

  it.each([
    undefined,
    null,
    1,
    true,
    {},
    [TOKEN],
    '',
    'abc',
    'a.b.c',
    `${part('text')}.${part({})}.`,
    `${part({})}.${part(null)}.`,
    `${part({})}.${part([1])}.`,
  ])('show nothing of %j, which is not a token', (token) => expect(shownToken(token)).toBeUndefined())
})

describe('streamHops', () => {
  const event = {
    kind: 'request',
    traceId: 't',
    spanId: 's',
    parentId: undefined,
    service: 'a',
    startedAt: 0,
    durationMs: 1,
  } as const

  async function listen(received: string[], sockets: Socket[], port = 0): Promise<Server> {
    const server = createServer((socket) => {
      sockets.push(socket)
      socket
        .setEncoding('utf8')
        .on('data', (text) => received.push(String(text)))
        .on('error', () => {})
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    cleanUps.push(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return server
  }
  const until = async (condition: () => boolean) => {
    const deadline = Date.now() + 5_000
    while (!condition() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(condition()).toBe(true)
  }

  it('sends one JSON object per line, and continues after the server was unavailable', async () => {
    const received: string[] = []
    const sockets: Socket[] = []
    const server = await listen(received, sockets)
    const { port } = server.address() as { port: number }
    const hops = streamHops(`tcp://127.0.0.1:${port}`)
    cleanUps.push(() => hops.stop())
    await until(() => sockets.length === 1)
    await until(() => {
      hops.publish(event)
      return received.length > 0
    })
    expect(JSON.parse((received[0] as string).split('\n')[0] as string)).toEqual({
      event: 'hop',
      topic: 'hops',
      data: JSON.parse(JSON.stringify(event)),
    })
    sockets[0]?.destroy()
    await until(() => sockets.length === 2)
    received.length = 0
    await until(() => {
      hops.publish(event)
      return received.length > 0
    })
  })

  it('keeps a limited number of events while the server is unavailable', async () => {
    const sockets: Socket[] = []
    const received: string[] = []
    const reserved = await listen([], [])
    const { port } = reserved.address() as { port: number }
    await new Promise((resolve) => reserved.close(resolve))
    const hops = streamHops(`tcp://127.0.0.1:${port}`)
    cleanUps.push(() => hops.stop())
    for (let count = 0; count < 1_000; count += 1) hops.publish({ ...event, durationMs: count })
    await listen(received, sockets, port)
    const told = () => received.join('').split('\n').filter(Boolean)
    await until(() => told().length > 0)
    expect(told().map((line) => JSON.parse(line).data.durationMs)).toEqual([...Array(128).keys()])
  })

  it('drops events without an error if there is no server', () => {
    const hops = streamHops('tcp://127.0.0.1:1')
    cleanUps.push(() => hops.stop())
    for (let count = 0; count < 10_000; count += 1) hops.publish(event)
  })
})
