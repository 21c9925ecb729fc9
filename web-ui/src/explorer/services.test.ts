import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { httpService, silentLog } from '@hallpass/service-kit'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { serviceRoutes } from './services.ts'

const baseUrl = 'http://localhost:4000'
const suite = {
  pid: 7,
  services: ['jwt-factory', 'web-ui'].map((name) => ({
    name,
    shows: `does ${name}`,
    state: 'running',
    urls: [],
    needs: [],
    restarts: 0,
  })),
}

describe('the services of the explorer', () => {
  let folder: string
  let launcher: http.Server
  let asked: string[]
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-launcher-'))
    asked = []
    launcher = http.createServer((incoming, response) => {
      asked.push(`${incoming.method} ${incoming.url}`)
      const refused = incoming.url?.includes('nobody')
      response
        .writeHead(refused ? 404 : 200, { 'content-type': 'application/json' })
        .end(JSON.stringify(refused ? { error: { message: 'Service not found: nobody.' } } : suite))
    })
    await new Promise<void>((resolve) => launcher.listen(join(folder, 'suite.sock'), resolve))
  })
  afterEach(async () => {
    launcher.closeAllConnections()
    launcher.close()
    await rm(folder, { recursive: true })
  })

  const page = () => {
    const service = httpService({
      name: 'web-ui',
      log: silentLog,
      config: { allowedHosts: [], production: false },
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (routes) =>
        routes.use(
          '/explorer/services',
          serviceRoutes({ launcherSocket: join(folder, 'suite.sock'), baseUrl }),
        ),
    })
    return request(service.app)
  }

  it('are listed, including the one that cannot be stopped from its own page', async () => {
    const { status, body } = await page().get('/explorer/services')
    expect(status).toBe(200)
    expect(body.services).toEqual([
      { name: 'jwt-factory', shows: 'does jwt-factory', state: 'running', needs: [], restarts: 0 },
      expect.objectContaining({
        name: 'web-ui',
        fixed: expect.stringContaining('npx hallpass service stop web-ui'),
      }),
    ])
    expect(body.pid).toBeUndefined()
  })

  it('are stopped and started by the explorer’s own page', async () => {
    for (const verb of ['stop', 'start']) {
      const { status } = await page().post(`/explorer/services/jwt-factory/${verb}`).set('origin', baseUrl)
      expect(status).toBe(204)
    }
    expect(asked).toEqual(['POST /services/jwt-factory/stop', 'POST /services/jwt-factory/start'])
  })

  it.each([undefined, 'http://localhost:3000', 'https://evil.example', 'null'])(
    'are not stopped by a page of the origin %s',
    async (origin) => {
      const call = page().post('/explorer/services/jwt-factory/stop')
      const { status, body } = await (origin === undefined ? call : call.set('origin', origin))
      expect([status, body.error.code]).toEqual([403, 'foreign_origin'])
      const isOnThisMachine = origin === undefined || origin.startsWith('http://localhost')
      expect(body.error.message).toBe(
        isOnThisMachine
          ? 'Only the explorer’s page can stop and start services.'
          : 'In development, this service rejects requests from pages of other sites. Add their hosts to ALLOWED_HOSTS.',
      )
      expect(asked).toEqual([])
    },
  )

  it('reject stopping the web UI, and unknown actions', async () => {
    const own = await page().post('/explorer/services/web-ui/stop').set('origin', baseUrl)
    expect([own.status, own.body.error.code]).toEqual([409, 'serves_this_page'])
    const other = await page().post('/explorer/services/jwt-factory/kill').set('origin', baseUrl)
    expect([other.status, other.body.error.code]).toEqual([404, 'no_such_endpoint'])
    expect(asked).toEqual([])
  })

  it('report the launcher’s errors, and a missing launcher', async () => {
    const unknown = await page().post('/explorer/services/nobody/stop').set('origin', baseUrl)
    expect([unknown.status, unknown.body.error.message]).toEqual([
      502,
      'launcher answered 404: Service not found: nobody.',
    ])
    launcher.closeAllConnections()
    await new Promise((resolve) => launcher.close(resolve))
    const { status, body } = await page().get('/explorer/services')
    expect([status, body.error.code]).toEqual([502, 'peer_unreachable'])
  })
})
