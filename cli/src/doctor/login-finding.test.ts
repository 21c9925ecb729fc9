import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { loginFinding } from './login-finding.ts'

const FORM = `<form method="post" action="/sign-in?x=1"><button class="person" name="user" value="ada">Ada</button></form>`

/** A web UI and its provider in one server, by request path. */
const pages: Record<string, RequestListener> = {
  '/login': (_request, response) =>
    response.writeHead(303, { location: '/form?state=s', 'set-cookie': 'attempt=1; Path=/' }).end(),
  '/form': (_request, response) => response.end(FORM),
  '/sign-in': (request, response) => {
    const isGood = request.method === 'POST' && request.headers.cookie === 'attempt=1'
    response
      .writeHead(isGood ? 303 : 400, {
        location: '/callback?code=secret',
        'set-cookie': ['attempt=; Max-Age=0', 'session=ada; Path=/'],
      })
      .end()
  },
  '/callback': (_request, response) => response.writeHead(303, { location: '/' }).end(),
  '/': (_request, response) => response.end('Hello'),
  '/profile': (request, response) =>
    response.end(request.headers.cookie === 'session=ada' ? 'ada' : 'nobody'),
}

describe('loginFinding', () => {
  let stop = () => {}
  afterEach(() => stop())

  async function look(changes: Record<string, RequestListener> = {}) {
    const all = { ...pages, ...changes }
    const server = http.createServer((request, response) =>
      all[(request.url as string).split('?')[0] as string]?.(request, response),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    stop = () => {
      server.closeAllConnections()
      server.close()
    }
    const url = `http://localhost:${(server.address() as AddressInfo).port}`
    const { state, what, remedy } = await loginFinding(url)
    return [state, what.replaceAll(url, 'URL'), remedy]
  }
  const remedy = expect.stringContaining('Look for web-ui and identity-provider')

  it('logs in a user and reads the profile', async () => {
    expect(await look()).toEqual(['good', 'ada can log in at URL', undefined])
  })

  it('reports the failing page with its message and without a code', async () => {
    const broken: RequestListener = (_request, response) =>
      response.writeHead(500).end('{"error":{"message":"Something went wrong"}}')
    expect(await look({ '/login': broken })).toEqual([
      'bad',
      'Login failed at URL: URL/login answers 500, Something went wrong',
      remedy,
    ])
    stop()
    const refused: RequestListener = (_request, response) =>
      response.writeHead(400).end('<h1>This login has ended</h1>')
    expect(await look({ '/callback': refused })).toEqual([
      'bad',
      'Login failed at URL: URL/callback answers 400, This login has ended',
      remedy,
    ])
  })

  it('reports a login without effect, and an unreachable web UI', async () => {
    const stranger: RequestListener = (_request, response) => response.end('Who are you?')
    expect(await look({ '/profile': stranger })).toEqual([
      'bad',
      'Login failed at URL: URL/profile does not show ada',
      remedy,
    ])
    const nobody = http.createServer()
    await new Promise<void>((resolve) => nobody.listen(0, '127.0.0.1', resolve))
    const url = `http://localhost:${(nobody.address() as AddressInfo).port}`
    await new Promise((resolve) => nobody.close(resolve))
    expect(await loginFinding(url)).toMatchObject({
      state: 'bad',
      what: `Login failed at ${url}: ${url}/login does not answer (ECONNREFUSED)`,
    })
  })

  it('does not test a provider that requires more than a click', async () => {
    const form: RequestListener = (_request, response) =>
      response.end('<form action="/x"><input name="password"></form>')
    expect(await look({ '/form': form })).toEqual([
      'note',
      "Login was not tested: URL/form does not offer the suite's users",
      undefined,
    ])
  })
})
