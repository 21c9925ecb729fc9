import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'static-'))
  await mkdir(join(folder, 'public/deep'), { recursive: true })
  await writeFile(join(folder, 'secret.html'), 'secret')
  await writeFile(join(folder, 'public/index.html'), '<p>page</p>')
  await writeFile(join(folder, 'public/deep/app.js'), '1')
  await writeFile(join(folder, 'public/private.pem'), 'secret')
  await symlink(join(folder, 'secret.html'), join(folder, 'public/link.html'))
})
afterAll(() => rm(folder, { recursive: true }))
beforeEach(() => gateway.start({ ASSETS_FOLDERS: join(folder, 'public') }))

/** Sends a request line unchanged; HTTP clients would normalize the path. */
function raw(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(gateway.url)
    const socket = connect(
      { port: Number(port), host: 'localhost', ca: gateway.ca, ALPNProtocols: ['http/1.1'] },
      () => socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`),
    )
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
}

describe.each(['h2', 'http/1.1'] as const)('static files over %s', (protocol) => {
  const get = (path: string, method = 'GET', headers = {}) =>
    gateway.request(path, { method, headers }, protocol)

  it('are served without a token, for GET and HEAD', async () => {
    const page = await get('/index.html')
    expect([page.status, page.text, page.headers['content-type']]).toEqual([
      200,
      '<p>page</p>',
      'text/html; charset=utf-8',
    ])
    expect(page.headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'")
    const head = await get('/index.html', 'HEAD')
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', '11'])
    expect((await get('/')).text).toBe('<p>page</p>')
    expect((await get('/deep/app.js')).headers['content-type']).toBe('text/javascript; charset=utf-8')
    expect((await get('/index.html', 'GET', { 'if-none-match': page.headers.etag })).status).toBe(304)
  })

  it('cannot be written', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
      expect([method, (await get('/index.html', method)).status]).toEqual([method, 405])
  })

  it('are not served through links or with other file types', async () => {
    for (const path of ['/link.html', '/private.pem', '/deep', '/deep/'])
      expect([path, (await get(path)).status]).toEqual([path, 404])
  })
})

it.each([
  '/../secret.html',
  '/deep/../../secret.html',
  '/%2e%2e%2fsecret.html',
  '/%2e%2e/secret.html',
  '/..%5csecret.html',
  '/..\\secret.html',
  '//secret.html',
  '/index.html%00.js',
  '/index.html\0',
  '/./index.html',
  '/__proto__',
  '/constructor',
  'https://localhost/../secret.html',
])('T41: rejects the path %j', async (path) => {
  const answer = await raw(path)
  expect(answer).toMatch(/^HTTP\/1\.1 (404|400) /)
  expect(answer).not.toContain('secret</')
  expect(answer).not.toMatch(/\r\n\r\nsecret/)
})

it('serves a file from the first folder that contains it', async () => {
  const other = join(folder, 'other')
  await mkdir(other)
  await writeFile(join(other, 'index.html'), 'other page')
  await writeFile(join(other, 'style.css'), 'p {}')
  await gateway.start({ ASSETS_FOLDERS: `${join(folder, 'public')},${other}` })
  expect((await gateway.request('/index.html')).text).toBe('<p>page</p>')
  expect((await gateway.request('/style.css')).text).toBe('p {}')
})
