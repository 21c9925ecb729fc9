import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@hallpass/free-ports'
import { afterEach, describe, expect, it } from '@jest/globals'
import { silentLog } from '../observation/log.ts'
import { commonConfig, readConfig } from '../process/config.ts'
import { type HttpService, type HttpServiceOptions, httpService } from './http-service.ts'

const started: HttpService[] = []
afterEach(async () => {
  await Promise.all(started.splice(0).map((service) => service.stop()))
})

async function start(env: Record<string, string>, options: Partial<HttpServiceOptions> = {}) {
  const service = httpService({
    name: 'test',
    log: silentLog,
    config: readConfig(env, commonConfig),
    listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
    // As at the SSE server, where every other path is a stream.
    routes: (app) => app.get('/{*path}', (_request, response) => void response.send('a route')),
    ...options,
  })
  started.push(service)
  return service.start()
}

async function ask(url: string | undefined, path: string, method = 'GET') {
  const answer = await fetch(`${url}${path}`, { method })
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
}

const error = (code: string, message: string) => JSON.stringify({ error: { code, message } })

describe('METRICS_PORT', () => {
  it('is optional: without it, the service has its metrics beside its routes', async () => {
    const urls = await start({ METRICS_PORT: '' })
    expect(Object.keys(urls)).toEqual(['http'])
    expect((await ask(urls.http, '/metrics')).text).toContain('http_request_duration_seconds')
  })

  it('serves the metrics, and no other port does', async () => {
    const urls = await start({ METRICS_PORT: '0' })
    expect(urls.metrics).toMatch(/^http:\/\/localhost:\d+$/)
    expect((await ask(urls.http, '/hello')).text).toBe('a route')
    const metrics = await ask(urls.metrics, '/metrics')
    expect([metrics.status, metrics.type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    // Scrapes are not counted.
    expect(metrics.text.match(/^http_request_duration_seconds_count\{.*$/gm)).toEqual([
      'http_request_duration_seconds_count{service="test",method="GET",route="/{*path}",status="200"} 1',
    ])
    const elsewhere = await ask(urls.http, '/metrics')
    expect([elsewhere.status, elsewhere.text]).toEqual([
      404,
      error('metrics_elsewhere', 'The metrics are on a port of their own (METRICS_PORT).'),
    ])
    for (const path of ['/healthz', '/readyz']) expect((await ask(urls.http, path)).status).toBe(200)
  })

  it('serves nothing else', async () => {
    const { metrics } = await start({ METRICS_PORT: '0' })
    for (const path of ['/', '/hello', '/healthz', '/readyz', '/metrics/', '/metricsx'])
      expect(await ask(metrics, path)).toEqual({
        status: 404,
        type: 'application/json; charset=utf-8',
        text: error('no_such_endpoint', `This port has only /metrics.`),
      })
    expect((await ask(metrics, '/metrics?x=1', 'HEAD')).status).toBe(200)
    expect(await ask(metrics, '/metrics', 'POST')).toEqual({
      status: 405,
      type: 'application/json; charset=utf-8',
      text: error('method_not_allowed', 'This path does not support this method. See the Allow header.'),
    })
  })

  it('is guarded from pages whose name resolves to this machine', async () => {
    const { metrics } = await start({ METRICS_PORT: '0' })
    const status = await new Promise((resolve) =>
      http.get(`${metrics}/metrics`, { headers: { host: 'evil.example' } }, (answer) => {
        resolve(answer.statusCode)
        answer.resume()
      }),
    )
    expect(status).toBe(403)
  })

  it('is released when the service stops, and named when it is taken', async () => {
    const port = await freePort()
    const env = { METRICS_PORT: `${port}` }
    const first = await start(env)
    expect(first.metrics).toBe(`http://localhost:${port}`)
    await ask(first.metrics, '/metrics')
    await expect(start(env)).rejects.toMatchObject({ code: 'EADDRINUSE', port })
    await started[0]?.stop()
    await expect(fetch(`${first.metrics}/metrics`)).rejects.toThrow('fetch failed')
    expect((await start(env)).metrics).toBe(first.metrics)
  })

  it('belongs to the service of a process that has the routes, so that several can have one configuration', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'metrics-port-'))
    const env = { METRICS_PORT: `${await freePort()}` }
    const handle: http.RequestListener = (_request, response) => void response.end('handled')
    const all = await Promise.all([
      start(env, { listeners: [{ name: 'admin', path: join(folder, 'admin.sock') }] }),
      start(env, { listeners: [{ name: 'bundle', host: '127.0.0.1', port: 0, handle }] }),
      start(env),
    ])
    expect(all.map((urls) => Object.keys(urls))).toEqual([['admin'], ['bundle'], ['http', 'metrics']])
    await rm(folder, { recursive: true })
  })

  it('is a port', () => {
    expect(() => readConfig({ METRICS_PORT: '65536' }, commonConfig)).toThrow(
      'METRICS_PORT must be an integer from 0 to 65535, but is "65536"',
    )
  })
})
