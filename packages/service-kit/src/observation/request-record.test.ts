import http from 'node:http'
import { afterAll, beforeAll } from '@jest/globals'
import { type HttpService, httpService } from '../http/http-service.ts'
import { describeRecord, developmentConfig, type RecordedAnswer } from '../testing.ts'
import { createLog } from './log.ts'

let log = ''
let service: HttpService
let urls: Readonly<Record<string, string>>
beforeAll(async () => {
  service = httpService({
    name: 'test',
    log: createLog('test', 'info', { write: (line) => (log += line) }),
    config: developmentConfig,
    listeners: [
      { name: 'http', host: '127.0.0.1', port: 0 },
      { name: 'own', host: '127.0.0.1', port: 0, handle: (_request, response) => response.end('own') },
    ],
    routes: (app) => {
      app.get('/things/:name', (_request, response) => void response.json({}))
      app.get('/never', () => {})
    },
  })
  urls = await service.start()
})
afterAll(() => service.stop())

const ask = (path: string, headers: Readonly<Record<string, string>>, listener = 'http') =>
  new Promise<RecordedAnswer>((resolve, reject) => {
    http
      .get(`${urls[listener]}${path}`, { headers, agent: false }, (answer) => {
        const { statusCode: status = 0 } = answer
        answer.resume().on('end', () => resolve({ status, requestId: answer.headers['x-request-id'] }))
      })
      .on('error', reject)
  })

const common = {
  service: 'test',
  reason: 'no_such_endpoint',
  beRefused: (headers: Readonly<Record<string, string>>) => ask('/nowhere', headers),
  leave: (headers: Readonly<Record<string, string>>) =>
    new Promise<void>((resolve) => {
      const request = http.get(`${urls.http}/never`, { headers, agent: false })
      request.on('error', () => resolve())
      setTimeout(() => request.destroy(), 50)
    }),
  log: () => log,
  metrics: async () => (await fetch(`${urls.http}/metrics`)).text(),
}

describeRecord('an Express service', () => ({
  ...common,
  path: '/things/one',
  route: '/things/:name',
  ask: (headers) => ask('/things/one?q=hidden', headers),
}))

describeRecord('a listener with its own handler', () => ({
  ...common,
  path: '/',
  route: 'unmatched',
  ask: (headers) => ask('/?q=hidden', headers, 'own'),
}))
