import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { presentClaims } from '@hallpass/tokens/testing'

/** A small issuer that signs tokens, publishes its keys, and can be made to fail. */
export interface TestIssuer {
  readonly url: string
  readonly key: SigningKey
  /** The user of each request for a token so far. */
  readonly calls: string[]
  /** Answers the next calls instead of a token; `undefined` restores tokens. */
  answer: ((user: string, response: ServerResponse, request: IncomingMessage) => void) | undefined
  lifetimeSeconds: number
  /** How far its clock is ahead of the proxies'. */
  aheadMs: number
  /** How long it takes to issue a token. */
  delayMs: number
  tokenFor(user: string, claims?: Readonly<Record<string, unknown>>): Promise<string>
  /** Closes the port, as if the process had stopped; `start` opens it again. */
  stop(): Promise<void>
  start(): Promise<void>
}

export const TEST_ISSUER = 'https://issuer.test/'
export const TEST_AUDIENCE = 'test-api'

export async function startIssuer(clock: () => number): Promise<TestIssuer> {
  const key = await generateSigningKey('ES256')
  let port = 0
  const server = createServer((request, response) => {
    if (request.url === '/.well-known/jwks.json') {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(publicJwks([key])))
      return
    }
    const user = String(request.headers['remote-user'])
    issuer.calls.push(user)
    if (issuer.answer) return issuer.answer(user, response, request)
    setTimeout(() => void issuer.tokenFor(user).then((token) => response.end(token)), issuer.delayMs)
  })
  const issuer: TestIssuer = {
    get url() {
      return `http://127.0.0.1:${port}`
    },
    key,
    calls: [],
    answer: undefined,
    lifetimeSeconds: 3600,
    aheadMs: 0,
    delayMs: 0,
    tokenFor: (sub, claims = {}) =>
      signToken(presentClaims({ iss: TEST_ISSUER, aud: TEST_AUDIENCE, sub, ...claims }), key, {
        lifetimeSeconds: issuer.lifetimeSeconds,
        clock: () => clock() + issuer.aheadMs,
      }),
    async start() {
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
      port = (server.address() as AddressInfo).port
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  await issuer.start()
  return issuer
}
