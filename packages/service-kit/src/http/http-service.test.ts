import { mkdtemp, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { HttpError } from '../errors.ts'
import { createLog, silentLog } from '../observation/log.ts'
import { currentTrace } from '../observation/trace.ts'
import { createPeerClient } from '../peers/peer-client.ts'
import { developmentConfig } from '../testing.ts'
import { sendJson } from './answers.ts'
import { type HttpService, type HttpServiceOptions, httpService } from './http-service.ts'
import { formBody, jsonBody, textBody } from './json-body.ts'

const started: HttpService[] = []
afterEach(async () => {
  await Promise.all(started.splice(0).map((service) => service.stop()))
})

function serviceWith(options: Partial<HttpServiceOptions> = {}) {
  const service = httpService({
    name: 'test',
    log: silentLog,
    config: developmentConfig,
    listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
    routes: (app) => {
      app.get('/hello', (_request, response) => void response.send('hello'))
      app.post('/echo', jsonBody({ maxBytes: 1000 }), (request, response) => void response.json(request.body))
      app.get('/teapot', () => {
        throw new HttpError(418, 'teapot', 'I am a teapot.', { cause: new Error('a secret cause') })
      })
      app.get('/crash', async () => {
        throw new TypeError('a secret detail')
      })
    },
    ...options,
  })
  started.push(service)
  return service
}

/** Sends raw bytes and resolves with everything received until the server closes the connection. */
function raw(url: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    // Newer versions of Node answer and close with bytes still unread, which resets the connection.
    socket.on('close', () => resolve(answer)).on('error', (error) => answer === '' && reject(error))
  })
}

describe('httpService', () => {
  it('answers health, readiness and metrics in addition to its routes', async () => {
    const service = serviceWith()
    const { http } = await service.start()
    const request = supertest(http as string)
    await request.get('/healthz').expect(200, { status: 'ok' })
    await request.get('/readyz').expect(200, { status: 'ready' })
    await request.get('/hello').expect(200)
    const metrics = await request.get('/metrics').expect(200)
    expect(metrics.text).toMatch(
      /http_request_duration_seconds_count\{service="test",method="GET",route="\/hello",status="200"\} 1/,
    )
  })

  it('is not ready before it has started or while a check fails, and names the check', async () => {
    const service = serviceWith({
      checks: {
        keys: () => {
          throw new Error('no key is loaded')
        },
      },
    })
    await supertest(service.app)
      .get('/readyz')
      .expect(503, {
        status: 'not ready',
        failed: { service: 'starting', keys: 'no key is loaded' },
      })
    const { http } = await service.start()
    await supertest(http as string)
      .get('/readyz')
      .expect(503, { status: 'not ready', failed: { keys: 'no key is loaded' } })
  })

  it('renders an HttpError with its code, and does not send the cause', async () => {
    const response = await supertest(serviceWith().app).get('/teapot')
    expect(response.status).toBe(418)
    expect(response.body).toEqual({ error: { code: 'teapot', message: 'I am a teapot.' } })
  })

  it('answers 500 without details for a bug, logs it, and keeps running', async () => {
    const lines: string[] = []
    const service = serviceWith({
      log: createLog('test', 'error', { write: (line) => void lines.push(line) }),
    })
    const response = await supertest(service.app).get('/crash')
    expect(response.status).toBe(500)
    expect(response.text).not.toContain('secret')
    expect(lines.join()).toContain('a secret detail')
    await supertest(service.app).get('/hello').expect(200)
  })

  it('answers 404 with a code, and reveals neither framework nor version', async () => {
    const response = await supertest(serviceWith().app).get('/nowhere')
    expect([response.status, response.body]).toEqual([
      404,
      { error: { code: 'no_such_endpoint', message: 'No such endpoint: GET /nowhere' } },
    ])
    expect(response.headers['x-powered-by']).toBeUndefined()
    expect(response.headers['x-content-type-options']).toBe('nosniff')
    expect(response.headers['content-security-policy']).toContain("default-src 'none'")
  })

  it('answers 400 for a path that cannot be decoded', async () => {
    const { http } = await serviceWith({
      routes: (app) => void app.get('/keys/:id', (_request, response) => void response.send('x')),
    }).start()
    const answer = await raw(
      http as string,
      'GET /keys/%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
    )
    expect(answer).toContain('400 Bad Request')
    expect(answer).not.toContain('node_modules')
  })

  it('uses a valid request id and replaces any other', async () => {
    const { app } = serviceWith()
    const given = await supertest(app).get('/hello').set('x-request-id', 'abc-123')
    expect(given.headers['x-request-id']).toBe('abc-123')
    const replaced = await supertest(app).get('/hello').set('x-request-id', 'x'.repeat(65))
    expect(replaced.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('logs the path of a request and never its query', async () => {
    const lines: string[] = []
    const service = serviceWith({
      log: createLog('test', 'info', { write: (line) => void lines.push(line) }),
    })
    await supertest(service.app).get('/hello?access_token=hunter2')
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines.join()).toContain('"path":"/hello"')
    expect(lines.join()).not.toContain('hunter2')
  })

  it('answers 431 for 64 KiB of headers and keeps running', async () => {
    const { http } = await serviceWith().start()
    const answer = await raw(
      http as string,
      `GET /hello HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(65_536)}\r\n\r\n`,
    )
    expect(answer).toContain('431')
    await supertest(http as string)
      .get('/hello')
      .expect(200)
  })

  it('listens on a unix socket that only its owner can open', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'http-service-'))
    const path = join(folder, 'service.sock')
    const service = serviceWith({ listeners: [{ name: 'admin', path }] })
    expect(await service.start()).toEqual({ admin: `unix:${path}` })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const client = createPeerClient({ peer: 'test', baseUrl: 'http://localhost', socketPath: path })
    expect((await client.get('/hello')).data).toBe('hello')
    await service.stop()
    await rm(folder, { recursive: true })
  })

  it('lets a listener handle every request itself', async () => {
    const service = serviceWith({
      listeners: [
        { name: 'http', host: '127.0.0.1', port: 0 },
        {
          name: 'own',
          host: '127.0.0.1',
          port: 0,
          handle: (request, response) => response.end(`own ${request.url}`),
        },
      ],
    })
    const { http, own } = await service.start()
    expect((await supertest(own as string).get('/healthz')).text).toBe('own /healthz')
    await supertest(http as string)
      .get('/healthz')
      .expect(200, { status: 'ok' })
  })

  it('names the port in the error if it is in use', async () => {
    const { http } = await serviceWith().start()
    const port = Number(new URL(http as string).port)
    const second = serviceWith({ listeners: [{ name: 'http', host: '127.0.0.1', port }] })
    await expect(second.start()).rejects.toMatchObject({ code: 'EADDRINUSE', port })
  })
})

function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

describe('stop', () => {
  it('completes requests in flight and accepts no new ones', async () => {
    const { promise: arrived, resolve: arrive } = deferred<() => void>()
    const service = serviceWith({
      routes: (app) => void app.get('/slow', (_request, response) => arrive(() => response.send('done'))),
    })
    const { http } = await service.start()
    const slow = fetch(`${http}/slow`).then((response) => response.text())
    const answer = await arrived
    const stopped = service.stop()
    await expect(fetch(`${http}/slow`)).rejects.toThrow('fetch failed')
    answer()
    expect(await slow).toBe('done')
    await stopped
  })

  it('closes connections that are still busy at the deadline', async () => {
    const service = serviceWith({
      drainDeadlineMs: 20,
      routes: (app) => void app.get('/never', () => {}),
    })
    const { http } = await service.start()
    const never = fetch(`${http}/never`).catch((error: Error) => error.message)
    await new Promise((resolve) => setTimeout(resolve, 30))
    await service.stop()
    expect(await never).toBe('fetch failed')
  })

  it('can be called twice, and before a start', async () => {
    const service = serviceWith()
    await service.stop()
    await service.stop()
  })
})

describe('jsonBody', () => {
  const post = (body: string, type = 'application/json') =>
    supertest(serviceWith().app).post('/echo').set('content-type', type).send(body)

  it('reads an object', async () => {
    await post('{"a":{"b":[1]}}').expect(200, { a: { b: [1] } })
    await post('{"a":1}', 'application/json; charset=utf-8').expect(200, { a: 1 })
    await supertest(serviceWith().app).post('/echo').expect(200, {})
  })

  it.each([
    ['malformed JSON', '{"a":', 400, 'malformed_json'],
    ['an array', '[1]', 400, 'not_an_object'],
    ['null', 'null', 400, 'not_an_object'],
    ['a string', '"x"', 400, 'not_an_object'],
    ['an id that a double cannot hold', '{"id":9007199254740993}', 400, 'inexact_number'],
    ['a number that would become null', '{"a":[{"b":1e400}]}', 400, 'inexact_number'],
    ['a duplicate member', '{"a":1,"a":1}', 400, 'duplicate_member'],
    ['__proto__', '{"__proto__":{"admin":true}}', 400, 'forbidden_member'],
    ['an escaped __proto__', '{"a":{"\\u005f_proto__":1}}', 400, 'forbidden_member'],
    ['constructor', '{"constructor":1}', 400, 'forbidden_member'],
    ['nine levels', `${'{"a":'.repeat(9)}1${'}'.repeat(9)}`, 400, 'json_too_deep'],
    ['a body over the limit', `{"a":"${'x'.repeat(1000)}"}`, 413, 'body_too_large'],
  ])('rejects %s', async (_, body, status, code) => {
    const response = await post(body)
    expect(response.status).toBe(status)
    expect(response.body.error.code).toBe(code)
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('continues in the trace of its request', async () => {
    const { app } = serviceWith({
      routes: (routes) =>
        void routes.post(
          '/',
          jsonBody(),
          (_, response) => void response.json({ trace: currentTrace()?.traceId }),
        ),
    })
    const traceId = 'a'.repeat(32)
    const answer = await supertest(app)
      .post('/')
      .set('traceparent', `00-${traceId}-${'b'.repeat(16)}-00`)
      .send({ a: 1 })
    expect(answer.body).toEqual({ trace: traceId })
  })

  it('rejects 100,000 levels without running out of stack', async () => {
    const { app } = serviceWith({
      routes: (routes) =>
        void routes.post('/', jsonBody({ maxBytes: 1e6 }), (_, response) => void response.send()),
    })
    const response = await supertest(app)
      .post('/')
      .set('content-type', 'application/json')
      .send(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
    expect(response.status).toBe(400)
    expect(['json_too_deep', 'malformed_json']).toContain(response.body.error.code)
  })

  it('rejects another content type, a compressed body and invalid UTF-8', async () => {
    expect((await post('{}', 'text/plain')).body.error.code).toBe('wrong_content_type')
    const compressed = await supertest(serviceWith().app)
      .post('/echo')
      .set('content-type', 'application/json')
      .set('content-encoding', 'gzip')
      .send('{}')
    expect(compressed.body.error.code).toBe('unsupported_encoding')
    const { http } = await serviceWith().start()
    const answer = await fetch(`${http}/echo`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toEqual({
      error: { code: 'malformed_json', message: 'The body is not valid UTF-8.' },
    })
  })

  it.each([
    ['form', formBody()],
    ['text', textBody()],
  ])('rejects invalid UTF-8 in a %s as well', async (_, body) => {
    const { http } = await serviceWith({
      routes: (routes) => void routes.post('/', body, (_request, response) => void response.send()),
    }).start()
    const answer = await fetch(http as string, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: Buffer.from('a=\xff', 'latin1'),
    })
    expect([answer.status, await answer.json()]).toEqual([
      400,
      { error: { code: 'invalid_utf8', message: 'The body is not valid UTF-8.' } },
    ])
  })

  it.each([
    ['a=%FF', 'invalid_utf8', 'The form is not percent-encoded UTF-8.'],
    ['%C3=a', 'invalid_utf8', 'The form is not percent-encoded UTF-8.'],
    ['a=%zz', 'invalid_utf8', 'The form is not percent-encoded UTF-8.'],
    ['a=1&a=1', 'repeated_parameter', 'The form repeats a parameter or uses a reserved name.'],
    ['a=&%61=1', 'repeated_parameter', 'The form repeats a parameter or uses a reserved name.'],
    ['__proto__=1', 'repeated_parameter', 'The form repeats a parameter or uses a reserved name.'],
  ])('rejects the form %s rather than change or lose a value', async (form, code, message) => {
    const { app } = serviceWith({
      routes: (routes) => void routes.post('/', formBody(), (_request, response) => void response.send()),
    })
    await supertest(app).post('/').type('form').send(form).expect(400, { error: { code, message } })
  })

  it('decodes a form, and returns what may be repeated as a list', async () => {
    const { app } = serviceWith({
      routes: (routes) =>
        void routes.post('/', formBody({ repeatable: ['r', 's'] }), (request, response) =>
          sendJson(response, 200, request.body),
        ),
    })
    await supertest(app)
      .post('/')
      .type('form')
      .send('a+b=%C3%BC+%26&c=d=e&f&r=1&&r=2&s=3')
      .expect(200, { 'a b': 'ü &', c: 'd=e', f: '', r: ['1', '2'], s: ['3'] })
  })

  it('stops reading a body without Content-Length at the limit', async () => {
    const { http } = await serviceWith().start()
    const chunk = `3e8\r\n${'x'.repeat(1000)}\r\n`
    const answer = await raw(
      http as string,
      `POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(3)}`,
    )
    expect(answer).toContain('413 Payload Too Large')
    expect(answer).toContain('body_too_large')
    await supertest(http as string)
      .get('/hello')
      .expect(200)
  })
})
