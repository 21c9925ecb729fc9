import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { HttpError } from '../errors.ts'
import { silentLog } from '../observation/log.ts'
import { currentTrace } from '../observation/trace.ts'
import { developmentConfig } from '../testing.ts'
import { sendJson } from './answers.ts'
import { expressApp } from './express-app.ts'
import type { Handler } from './handler.ts'
import { type HttpService, httpService } from './http-service.ts'
import { jsonBody } from './json-body.ts'

const tell: Handler = (request, response) =>
  sendJson(response, 200, {
    params: request.params,
    query: request.query,
    body: request.body ?? null,
    traced: currentTrace() !== undefined,
  })

let service: HttpService
let url: string
beforeAll(async () => {
  service = httpService({
    name: 'test',
    log: silentLog,
    config: developmentConfig,
    listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
    routes: (app) => {
      app.get('/plain', tell)
      app.get('/express', (request, response) =>
        response.json({ hostname: request.hostname, ip: request.ip }),
      )
      app.post('/things/:name', jsonBody(), tell)
      app.get('/throws', () => {
        throw new HttpError(418, 'teapot', 'I am a teapot.')
      })
      app.get('/rejects', () => Promise.reject(new TypeError('a secret detail')))
      app.get(
        '/passes-on',
        (_request, _response, next) => next(new HttpError(409, 'conflict', 'No.')),
        () => {
          throw new Error('must not be reached')
        },
      )
    },
  })
  url = (await service.start()).http as string
})
afterAll(() => service.stop())

describe('a route', () => {
  it('gets headers, query, parameter, body and trace', async () => {
    const plain = await supertest(url).get('/plain?expired=1&a=b&a=c').expect(200)
    expect(plain.body).toEqual({
      params: {},
      query: { expired: '1', a: ['b', 'c'] },
      body: null,
      traced: true,
    })
    expect(plain.headers).toMatchObject({
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-request-id': expect.stringMatching(/^[\w-]{36}$/),
    })
    const posted = await supertest(url).post('/things/one_1.x').send({ a: 1 }).expect(200)
    expect(posted.body).toEqual({ params: { name: 'one_1.x' }, query: {}, body: { a: 1 }, traced: true })
  })

  it('has everything that Express adds', async () => {
    const answer = await supertest(url).get('/express').expect(200)
    expect(answer.body).toEqual({ hostname: 'localhost', ip: '127.0.0.1' })
  })

  it('matches equivalent spellings of its path', async () => {
    const escaped = await supertest(url).post('/things/o%6Ee').send({ a: 1 }).expect(200)
    expect(escaped.body).toEqual({ params: { name: 'one' }, query: {}, body: { a: 1 }, traced: true })
    await supertest(url).get('/plain/').expect(200)
    await supertest(url).head('/plain').expect(200)
  })

  it('does not match similar paths', async () => {
    for (const path of ['/things', '/things/', '/things/a/b', '/Plain', '/plain/x', '/xplain', '//plain']) {
      const answer = await supertest(url).post(path).send({})
      expect([path, answer.status]).toEqual([path, 404])
    }
    await supertest(url).post('/things/%E0%A4%A').send({}).expect(400)
  })

  it('answers 405 with the methods of a known path', async () => {
    const answer = await supertest(url).get('/things/one').expect(405).expect('allow', 'POST')
    expect(answer.body).toEqual({
      error: {
        code: 'method_not_allowed',
        message: 'This path does not support this method. See the Allow header.',
      },
    })
    for (const method of ['post', 'put', 'delete', 'patch', 'options'] as const)
      await supertest(url)[method]('/plain').expect(405).expect('allow', 'GET, HEAD')
    await supertest(url).delete('/unknown').expect(404)
  })

  it('renders its errors', async () => {
    const teapot = await supertest(url).get('/throws').expect(418)
    expect(teapot.body).toEqual({ error: { code: 'teapot', message: 'I am a teapot.' } })
    const rejected = await supertest(url).get('/rejects').expect(500)
    expect(rejected.body.error.code).toBe('internal_error')
    expect(rejected.text).not.toContain('secret')
    const passedOn = await supertest(url).get('/passes-on').expect(409)
    expect(passedOn.body.error.code).toBe('conflict')
    const malformed = await supertest(url)
      .post('/things/one')
      .set('content-type', 'application/json')
      .send('{')
      .expect(400)
    expect(malformed.body.error.code).toBe('malformed_json')
  })

  it('is counted under its pattern, whatever the parameter', async () => {
    await supertest(url).post('/things/two').send({}).expect(200)
    const metrics = await supertest(url).get('/metrics').expect(200)
    expect(metrics.text).toContain('route="/things/:name"')
    expect(metrics.text).not.toContain('two')
  })
})

describe('an Express app', () => {
  it('does not change the prototypes of requests and responses', async () => {
    const { app, classes } = expressApp()
    app.get('/', (_request, response) => void response.json({ a: 1 }))
    const prototypes: boolean[] = []
    const server = http.createServer(classes, (request: IncomingMessage, response: ServerResponse) => {
      const before = [request, response].map(Object.getPrototypeOf)
      app(request, response)
      prototypes.push(...[request, response].map((one, at) => Object.getPrototypeOf(one) === before[at]))
    })
    await supertest(server).get('/').expect(200, { a: 1 })
    expect(prototypes).toEqual([true, true])
  })
})
