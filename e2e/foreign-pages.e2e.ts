import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { dirname, join } from 'node:path'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'

let suite: TestSuite
let ca: string
beforeAll(async () => {
  suite = await startTestSuite(dirname(import.meta.dirname))
  ca = await readFile(join(suite.stateFolder, 'certificates/ca.pem'), 'utf8')
}, 60_000)
afterAll(() => suite?.stop())

/** Sends a request head unchanged and returns the answer. */
function send(url: string, head: string): Promise<string> {
  const { port, protocol } = new URL(url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket =
      protocol === 'https:'
        ? tls.connect({ port: Number(port), host: 'localhost', ca })
        : net.connect({ port: Number(port), host: 'localhost' })
    socket.write(`${head}\r\nconnection: close\r\n\r\n`)
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(answer)).on('error', reject)
  })
}

const statusAndCode = (answer: string) => [
  Number(answer.split(' ', 2)[1]),
  /"code":"(two_hosts|foreign_\w+)"/.exec(answer)?.[1],
]

/** All listeners except those with an SVID as certificate, which only workloads call. */
const listeners = () =>
  suite.processes.flatMap(({ name, urls }) =>
    Object.entries(urls)
      .filter(([variable, url]) => /^https?:/.test(url) && variable !== 'BUNDLE_ENDPOINT_PORT')
      .filter(([variable]) => !(/^spiffe-(proxy|server)$/.test(name) && variable === 'PORT'))
      .map(([variable, url]) => ({ listener: `${name} ${variable}`, url })),
  )

describe('every listener in development mode', () => {
  it.each(['/', '/events', '/scenario1', '/healthz', '/metrics', '/.well-known/openid-configuration'])(
    'answers at %s to localhost only (DNS rebinding)',
    async (path) => {
      for (const { listener, url } of listeners()) {
        for (const [head, refusal] of [
          [`GET ${path} HTTP/1.1\r\nhost: evil.example`, [403, 'foreign_host']],
          [`GET ${path} HTTP/1.1\r\nhost: localhost.evil.example:3000`, [403, 'foreign_host']],
          [`GET http://evil.example${path} HTTP/1.1\r\nhost: localhost`, [403, 'foreign_host']],
          [`GET ${path} HTTP/1.1\r\nhost: localhost\r\nhost: evil.example`, [400, 'two_hosts']],
        ] as const)
          expect([listener, head, ...statusAndCode(await send(url, head))]).toEqual([
            listener,
            head,
            ...refusal,
          ])
      }
    },
    30_000,
  )

  it('rejects pages of other sites, except the gateway, which allows configured origins', async () => {
    for (const { listener, url } of listeners().filter(({ listener }) => !listener.startsWith('sse-gateway')))
      for (const path of ['/', '/topics/hops', '/scenario1'])
        expect([
          listener,
          ...statusAndCode(
            await send(url, `GET ${path} HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example`),
          ),
        ]).toEqual([listener, 403, 'foreign_origin'])
  }, 30_000)

  it('answers programs and pages of this machine', async () => {
    const ask = (service: string, path: string, headers = {}) =>
      fetch(suite.url(service) + path, { headers }).then(({ status }) => status)
    expect(await ask('service-a', '/hello')).toBe(200)
    expect(await ask('service-a', '/hello', { origin: suite.url('web-ui') })).toBe(200)
    expect(await ask('token-cache-load-balancer', '/', { 'remote-user': 'user1' })).toBe(200)
    // Like a link in a README on the web.
    const link = 'sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document'
    expect(await send(suite.url('service-a'), `GET /hello HTTP/1.1\r\nhost: localhost\r\n${link}`)).toMatch(
      /^HTTP\/1\.1 200 /,
    )
  })
})
