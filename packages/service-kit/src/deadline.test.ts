import { describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { callBudget, DEADLINE_HEADER, deadlineFrom } from './deadline.ts'
import { sendJson } from './http/answers.ts'
import { httpService } from './http/http-service.ts'
import { silentLog } from './observation/log.ts'
import { createPeerCaller, type PeerCaller } from './peers/peer-caller.ts'
import { unexpectedAnswer } from './peers/peer-errors.ts'
import { developmentConfig, useService } from './testing.ts'

const left = (deadline: number | undefined) => (deadline ?? Number.NaN) - performance.now()

describe('deadlineFrom', () => {
  it('reads milliseconds and caps long values', () => {
    expect(left(deadlineFrom('1500'))).toBeCloseTo(1_500, -2)
    for (const value of ['60001', '999999999']) expect(left(deadlineFrom(value))).toBeLessThanOrEqual(60_000)
  })

  it.each([undefined, '', '0', '-1', '+5', '1.5', '1e9', '0x10', ' 5', '5 ', '9999999999', 'abc', '5, 6'])(
    'ignores %j',
    (value) => {
      expect(deadlineFrom(value)).toBeUndefined()
    },
  )
})

describe('callBudget', () => {
  it('is the caller’s own limit without a deadline or with a later one', () => {
    expect(callBudget(undefined, 5_000)).toBe(5_000)
    expect(callBudget(performance.now() + 60_000, 5_000)).toBe(5_000)
  })

  it('is the remaining time minus a margin of a fifth, at most half a second', () => {
    for (const [remaining, least, most] of [
      [5_000, 4_450, 4_500],
      [1_000, 780, 800],
      [100, 70, 80],
    ] as const) {
      const budget = callBudget(performance.now() + remaining, 5_000)
      expect(budget).toBeGreaterThanOrEqual(least)
      expect(budget).toBeLessThanOrEqual(most)
    }
  })

  it('is zero after the deadline', () => {
    expect(callBudget(performance.now() - 1, 5_000)).toBe(0)
  })
})

describe('a chain of three services whose last one is silent', () => {
  const seen: string[] = []
  const service = (name: string, answer: () => Promise<unknown>) =>
    useService(() =>
      httpService({
        name,
        log: silentLog,
        config: developmentConfig,
        listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
        routes: (app) =>
          app.get('/', async (request, response) => {
            seen.push(`${name} ${request.headers[DEADLINE_HEADER]}`)
            sendJson(response, 200, await answer())
          }),
      }),
    )
  const ask = (peer: string, url: () => string, timeoutMs: number) => {
    let call: PeerCaller | undefined
    return async (shared = false) => {
      call ??= createPeerCaller({ peer, baseUrl: url(), timeoutMs })
      const { status, text } = await call({ method: 'GET', path: '/', shared })
      if (status !== 200) throw unexpectedAnswer(peer, status, JSON.parse(text).error.message)
    }
  }
  const silent = service('silent', () => new Promise(() => {}))
  const askSilent = ask('silent', silent.url, 2_000)
  const middle = service('middle', () => askSilent())
  const askMiddle = ask('middle', middle.url, 2_000)
  const front = service('front', () => askMiddle())

  it('answers 504 and names it: each hop waits less than the one before', async () => {
    const { status, body } = await supertest(front.url()).get('/')
    expect([status, body.error.code]).toEqual([504, 'peer_timeout'])
    expect(body.error.message).toMatch(
      /^middle answered 504: silent at http:\/\/localhost:\d+ did not answer within 1[56]\d\d ms\.$/,
    )
    const [, ofMiddle, ofSilent] = seen.map((line) => Number(line.split(' ')[1]))
    expect(ofMiddle).toBe(2_000)
    expect(ofSilent).toBeLessThanOrEqual(1_600)
  })

  it('answers within an earlier deadline of the caller and ignores a later one', async () => {
    for (const [requested, most] of [
      ['1000', 1_000],
      ['59000', 2_000],
    ] as const) {
      const began = performance.now()
      const { status, body } = await supertest(front.url()).get('/').set(DEADLINE_HEADER, requested)
      expect(performance.now() - began).toBeLessThan(most)
      expect([status, body.error.message]).toEqual([504, expect.stringContaining('silent at')])
    }
  })

  it('makes no call after the deadline', async () => {
    seen.length = 0
    const { status, body } = await supertest(front.url()).get('/').set(DEADLINE_HEADER, '1')
    expect(status).toBe(504)
    expect(body.error).toEqual({
      code: 'deadline_exceeded',
      message: "middle was not called: the caller's deadline has passed.",
    })
    expect(seen).toEqual(['front 1'])
  })
})

describe('a call whose response is shared', () => {
  const keys = useService(() =>
    httpService({
      name: 'keys',
      log: silentLog,
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (app) => void app.get('/', (request, response) => void response.json(request.headers)),
    }),
  )
  let load: PeerCaller
  const front = useService(() =>
    httpService({
      name: 'front',
      log: silentLog,
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (app) =>
        void app.get('/', async (_request, response) => {
          response.send((await load({ method: 'GET', path: '/', shared: true })).text)
        }),
    }),
  )

  it('has half of its own timeout, so that no caller’s deadline can make it fail for all', async () => {
    load = createPeerCaller({ peer: 'keys', baseUrl: keys.url(), timeoutMs: 4_000 })
    const { text } = await supertest(front.url()).get('/').set(DEADLINE_HEADER, '1').expect(200)
    expect(JSON.parse(text)).toMatchObject({ [DEADLINE_HEADER]: '2000' })
  })
})
