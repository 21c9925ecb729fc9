import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Algorithm, generateSigningKey, publicJwks, signToken } from '@hallpass/tokens'

export const ISSUER = 'https://issuer.bench/'
export const AUDIENCE = 'bench-api'

/** The issuer of a benchmark. It is called once per user, so it can run in the generator's process. */
export interface BenchIssuer {
  readonly url: string
  readonly calls: () => number
  tokenFor(user: string): Promise<string>
  stop(): void
}

export async function startIssuer(alg: Algorithm): Promise<BenchIssuer> {
  const key = await generateSigningKey(alg)
  let calls = 0
  const tokenFor = (sub: string) =>
    signToken({ iss: ISSUER, aud: AUDIENCE, sub }, key, { lifetimeSeconds: 3600 })
  const server: Server = createServer((request, response) => {
    if (request.url !== '/auth') return void response.end(JSON.stringify(publicJwks([key])))
    calls += 1
    // nginx reads the token from a header, the proxy from the body.
    void tokenFor(String(request.headers['remote-user'])).then((token) =>
      response.setHeader('x-token', token).end(token),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: () => calls,
    tokenFor,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** The API of a benchmark: answers requests with a bearer token with 300 bytes, as fast as Node can. */
export const API_PROGRAM = `
const body = JSON.stringify({ data: 'x'.repeat(289) })
require('node:http').createServer({ keepAliveTimeout: 60000 }, (request, response) => {
  if (request.url !== '/healthz' && !request.headers.authorization?.startsWith('Bearer ey')) return response.writeHead(401).end()
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
}).listen(Number(process.argv[1]), '127.0.0.1', 4096)
`
